/*
 * sample_sink.h
 *	  Collects the samples that a SQL function returns.
 */
#ifndef HISTORIAN_SAMPLE_SINK_H
#define HISTORIAN_SAMPLE_SINK_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

/*
 * The samples are rows of (time, values) or, if tag is not NULL, of (tag, time, values).  Times are
 * nanoseconds, or timestamptz rounded down if desc says so.
 */
typedef struct SampleSink
{
	Tuplestorestate *store;
	TupleDesc	desc;
	text	   *tag;
} SampleSink;

/* Puts one sample. */
extern void sample_sink_put(SampleSink *sink, int64 time, Datum values, bool isnull);

/* Puts a sample with a float8[] of these elements or, without has_array, with a NULL array. */
extern void sample_sink_put_elements(SampleSink *sink, int64 time, bool has_array,
									 const double *elements, const bool *isnull, uint32 width);

#endif							/* HISTORIAN_SAMPLE_SINK_H */
