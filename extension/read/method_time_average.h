/*
 * method_time_average.h
 *	  The method time_average.
 */
#ifndef HISTORIAN_METHOD_TIME_AVERAGE_H
#define HISTORIAN_METHOD_TIME_AVERAGE_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_time_average(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_TIME_AVERAGE_H */
