/*
 * method_plot.h
 *	  The method that keeps the first, least, greatest and last row of each period.
 */
#ifndef HISTORIAN_METHOD_PLOT_H
#define HISTORIAN_METHOD_PLOT_H

#include "postgres.h"

#include "read/method_call.h"

extern void method_plot(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_PLOT_H */
