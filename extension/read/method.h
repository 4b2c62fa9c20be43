/*
 * method.h
 *	  The methods of downsampling, which decide on the values of a sample.
 *
 * A method runs for one tag and a window, and puts samples in ascending order of time: one for each
 * period, at its end, or, if it selects rows, these rows.  docs/methods.md defines all methods.
 */
#ifndef HISTORIAN_METHOD_H
#define HISTORIAN_METHOD_H

#include "postgres.h"

#include "read/method_call.h"

typedef struct Method
{
	const char *name;
	int32		min_samples;
	bool		by_value;		/* does it judge rows by one value? */
	void		(*run) (const MethodCall *call);

	/* the argument, if the method takes one, within bounds */
	const char *argument;		/* what it is, or NULL */
	bool		argument_required;
	double		least_argument;
	double		greatest_argument;
} Method;

/*
 * Finds a method by its name or, if it has an argument, NAME(ARGUMENT), to which it sets *argument;
 * to 0 if none is given.  Raises an error if there is no such method, the argument does not fit, or
 * samples are too few for it.
 */
extern const Method *method_find(const char *call, int32 samples, double *argument);

#endif							/* HISTORIAN_METHOD_H */
