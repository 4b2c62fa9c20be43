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

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

#include "read/leaves.h"
#include "read/window.h"

/* Where samples go: rows of (time, values), or (tag, time, values) where tag is not NULL. */
typedef struct SampleSink
{
	Tuplestorestate *store;
	TupleDesc	desc;
	text	   *tag;
} SampleSink;

/* What to downsample.  The tag has rows that the snapshot sees. */
typedef struct MethodCall
{
	const Leaves *leaves;		/* that have the tag */
	text	   *tag;
	const Window *window;
	const int64 *ends;			/* of the window's periods */
	SampleSink *sink;
} MethodCall;

typedef struct Method
{
	const char *name;
	int32		min_samples;
	void		(*run) (const MethodCall *call);
} Method;

/* Finds a method, or raises an error that lists them all; also if there are too few samples. */
extern const Method *method_find(const char *name, int32 samples);

/* Puts one sample. */
extern void method_put_sample(SampleSink *sink, int64 time, Datum values, bool isnull);

/* Builds a float8[] from elements and puts it; the array is NULL where has_array is false. */
extern void method_put_elements(SampleSink *sink, int64 time, bool has_array,
								const double *elements, const bool *isnull, uint32 width);

/* method_carry.c: the row before a time, or the two around it */
extern void method_last(const MethodCall *call);
extern void method_interpolated(const MethodCall *call);

/* method_last_known.c: the same for each element by itself, passing over NULL */
extern void method_last_known(const MethodCall *call);

/* method_reduce.c: the rows of a period, reduced */
extern void method_min(const MethodCall *call);
extern void method_max(const MethodCall *call);
extern void method_range(const MethodCall *call);
extern void method_average(const MethodCall *call);
extern void method_sum(const MethodCall *call);
extern void method_count(const MethodCall *call);
extern void method_stddev(const MethodCall *call);
extern void method_delta(const MethodCall *call);

/* method_time_average.c */
extern void method_time_average(const MethodCall *call);

/* method_select.c: rows that are kept as they are */
extern void method_first(const MethodCall *call);
extern void method_plot(const MethodCall *call);
extern void method_lttb(const MethodCall *call);

#endif							/* HISTORIAN_METHOD_H */
