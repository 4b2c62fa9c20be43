/*
 * sample_sink.h
 *	  Where a function puts samples.
 */
#ifndef HISTORIAN_SAMPLE_SINK_H
#define HISTORIAN_SAMPLE_SINK_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

/* Where samples go: rows of (time, values), or (tag, time, values) where tag is not NULL. */
typedef struct SampleSink
{
	Tuplestorestate *store;
	TupleDesc	desc;
	text	   *tag;
} SampleSink;

/* Puts one sample. */
extern void sample_sink_put(SampleSink *sink, int64 time, Datum values, bool isnull);

/* Builds a float8[] from elements and puts it; the array is NULL where has_array is false. */
extern void sample_sink_put_elements(SampleSink *sink, int64 time, bool has_array,
									 const double *elements, const bool *isnull, uint32 width);

#endif							/* HISTORIAN_SAMPLE_SINK_H */
