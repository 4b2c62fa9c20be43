/*
 * method_increase.h
 *	  The methods increase and rate: by how much a counter has grown, over its resets.
 */
#ifndef HISTORIAN_METHOD_INCREASE_H
#define HISTORIAN_METHOD_INCREASE_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_increase(const MethodCall *call);
extern void method_rate(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_INCREASE_H */
