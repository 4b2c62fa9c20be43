/*
 * method_last_known.h
 *	  The method last_known: the last value of each element that is not NULL.
 */
#ifndef HISTORIAN_METHOD_LAST_KNOWN_H
#define HISTORIAN_METHOD_LAST_KNOWN_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_last_known(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_LAST_KNOWN_H */
