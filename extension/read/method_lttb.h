/*
 * method_lttb.h
 *	  The methods that keep the rows which shape a curve.
 */
#ifndef HISTORIAN_METHOD_LTTB_H
#define HISTORIAN_METHOD_LTTB_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_lttb(const MethodCall *call);
extern void method_minmaxlttb(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_LTTB_H */
