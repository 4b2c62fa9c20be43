/*
 * method_select.h
 *	  The methods that keep rows as they are.
 */
#ifndef HISTORIAN_METHOD_SELECT_H
#define HISTORIAN_METHOD_SELECT_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_first(const MethodCall *call);
extern void method_lttb(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_SELECT_H */
