/*
 * sample_sink.c
 *	  Collects the samples that a SQL function returns.
 */
#include "postgres.h"

#include "read/sample_sink.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/timestamp.h"

#include "nanoseconds.h"

void
sample_sink_put(SampleSink *sink, int64 time, Datum values, bool isnull)
{
	int			skip = sink->tag == NULL ? 1 : 0;
	bool		as_timestamp = TupleDescAttr(sink->desc, 1 - skip)->atttypid == TIMESTAMPTZOID;
	Datum		row[3] = {
		PointerGetDatum(sink->tag),
		as_timestamp ? TimestampTzGetDatum(nanoseconds_to_timestamptz(time)) : Int64GetDatum(time),
		values,
	};
	bool		nulls[3] = {false, false, isnull};

	tuplestore_putvalues(sink->store, sink->desc, row + skip, nulls + skip);
}

void
sample_sink_put_elements(SampleSink *sink, int64 time, bool has_array, const double *elements,
						 const bool *isnull, uint32 width)
{
	int			dims[1] = {width};
	int			lower[1] = {1};
	Datum	   *datums;
	ArrayType  *array;

	if (!has_array)
	{
		sample_sink_put(sink, time, (Datum) 0, true);
		return;
	}
	datums = palloc_array(Datum, Max(width, 1));
	for (uint32 v = 0; v < width; v++)
		datums[v] = Float8GetDatum(elements[v]);
	array = construct_md_array(datums, (bool *) isnull, 1, dims, lower, FLOAT8OID, sizeof(float8),
							   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	sample_sink_put(sink, time, PointerGetDatum(array), false);
	pfree(array);
	pfree(datums);
}
