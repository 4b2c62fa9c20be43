/*
 * method_percentile.h
 *	  The method percentile.
 */
#ifndef HISTORIAN_METHOD_PERCENTILE_H
#define HISTORIAN_METHOD_PERCENTILE_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_percentile(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_PERCENTILE_H */
