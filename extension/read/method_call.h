/*
 * method_call.h
 *	  The parameters of a method of downsampling.
 */
#ifndef HISTORIAN_METHOD_CALL_H
#define HISTORIAN_METHOD_CALL_H

#include "postgres.h"

#include "read/leaves.h"
#include "read/sample_sink.h"
#include "read/window.h"

/* What to downsample.  The snapshot sees rows of the tag. */
typedef struct MethodCall
{
	const Leaves *leaves;		/* in which the snapshot sees rows of the tag */
	text	   *tag;
	const Window *window;
	const int64 *ends;			/* of the window's periods */
	SampleSink *sink;
	uint32		value;			/* by which methods that select rows judge them */
	double		argument;		/* of the method, or 0 */
	bool		value_required; /* is it an error if no row of the window has it? */
} MethodCall;

#endif							/* HISTORIAN_METHOD_CALL_H */
