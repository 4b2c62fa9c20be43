/*
 * method_call.h
 *	  What a method of downsampling is called with.
 */
#ifndef HISTORIAN_METHOD_CALL_H
#define HISTORIAN_METHOD_CALL_H

#include "postgres.h"

#include "read/leaves.h"
#include "read/sample_sink.h"
#include "read/window.h"

/* What to downsample.  The tag has rows that the snapshot sees. */
typedef struct MethodCall
{
	const Leaves *leaves;		/* that have the tag */
	text	   *tag;
	const Window *window;
	const int64 *ends;			/* of the window's periods */
	SampleSink *sink;
} MethodCall;

#endif							/* HISTORIAN_METHOD_CALL_H */
