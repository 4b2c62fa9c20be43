/*
 * method.c
 *	  The methods of downsampling by name, and where their samples go.
 */
#include "postgres.h"

#include "read/method.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"

static const Method methods[] = {
	{"last", 1, method_last},
	{"last_known", 1, method_last_known},
	{"first", 1, method_first},
	{"interpolated", 1, method_interpolated},
	{"min", 1, method_min},
	{"max", 1, method_max},
	{"range", 1, method_range},
	{"average", 1, method_average},
	{"time_average", 1, method_time_average},
	{"sum", 1, method_sum},
	{"count", 1, method_count},
	{"stddev", 1, method_stddev},
	{"delta", 1, method_delta},
	{"plot", 4, method_plot},
	{"lttb", 3, method_lttb},
};

const Method *
method_find(const char *name, int32 samples)
{
	StringInfoData names;

	for (int i = 0; i < lengthof(methods); i++)
	{
		if (strcmp(methods[i].name, name) != 0)
			continue;
		if (samples < methods[i].min_samples)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("method \"%s\" needs at least %d samples", name,
						   methods[i].min_samples));
		return &methods[i];
	}

	initStringInfo(&names);
	for (int i = 0; i < lengthof(methods); i++)
		appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ", methods[i].name);
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("unknown method \"%s\"", name),
			errhint("The methods are %s.", names.data));
	return NULL;				/* not reached */
}

void
method_put_sample(SampleSink *sink, int64 time, Datum values, bool isnull)
{
	Datum		row[3] = {PointerGetDatum(sink->tag), Int64GetDatum(time), values};
	bool		nulls[3] = {false, false, isnull};
	int			skip = sink->tag == NULL ? 1 : 0;

	tuplestore_putvalues(sink->store, sink->desc, row + skip, nulls + skip);
}

void
method_put_elements(SampleSink *sink, int64 time, bool has_array, const double *elements,
					const bool *isnull, uint32 width)
{
	int			dims[1] = {width};
	int			lower[1] = {1};
	Datum	   *datums;
	ArrayType  *array;

	if (!has_array)
	{
		method_put_sample(sink, time, (Datum) 0, true);
		return;
	}
	datums = palloc_array(Datum, Max(width, 1));
	for (uint32 v = 0; v < width; v++)
		datums[v] = Float8GetDatum(elements[v]);
	array = construct_md_array(datums, (bool *) isnull, 1, dims, lower, FLOAT8OID, sizeof(float8),
							   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	method_put_sample(sink, time, PointerGetDatum(array), false);
	pfree(array);
	pfree(datums);
}
