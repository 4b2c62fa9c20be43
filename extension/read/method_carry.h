/*
 * method_carry.h
 *	  The methods that carry values: from the row before a time, or from the two around it.
 */
#ifndef HISTORIAN_METHOD_CARRY_H
#define HISTORIAN_METHOD_CARRY_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_last(const MethodCall *call);
extern void method_interpolated(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_CARRY_H */
