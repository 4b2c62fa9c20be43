/*
 * method.h
 *	  The methods of downsampling: what stands in a sample.
 *
 * A method is run for one tag and a window, and puts samples in ascending order of time: one for
 * each period, at its end, or, if it selects rows, those rows.  docs/methods.md defines them all.
 */
#ifndef HISTORIAN_METHOD_H
#define HISTORIAN_METHOD_H

#include "postgres.h"

#include "read/method_call.h"

typedef struct Method
{
	const char *name;
	int32		min_samples;
	void		(*run) (const MethodCall *call);
} Method;

/* Finds a method, or raises an error that lists them all; also if there are too few samples. */
extern const Method *method_find(const char *name, int32 samples);

#endif							/* HISTORIAN_METHOD_H */
