/*
 * method_reduce.h
 *	  The methods that reduce the rows of a period.
 */
#ifndef HISTORIAN_METHOD_REDUCE_H
#define HISTORIAN_METHOD_REDUCE_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_min(const MethodCall *call);
extern void method_max(const MethodCall *call);
extern void method_range(const MethodCall *call);
extern void method_average(const MethodCall *call);
extern void method_sum(const MethodCall *call);
extern void method_count(const MethodCall *call);
extern void method_stddev(const MethodCall *call);
extern void method_delta(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_REDUCE_H */
