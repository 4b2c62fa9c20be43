/*
 * method_first.h
 *	  The method that puts the first row of each period.
 */
#ifndef HISTORIAN_METHOD_FIRST_H
#define HISTORIAN_METHOD_FIRST_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_first(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_FIRST_H */
