/*
 * method.c
 *	  The methods of downsampling by name.
 */
#include "postgres.h"

#include "read/method.h"

#include "lib/stringinfo.h"

#include "read/method_carry.h"
#include "read/method_first.h"
#include "read/method_increase.h"
#include "read/method_last_known.h"
#include "read/method_lttb.h"
#include "read/method_plot.h"
#include "read/method_reduce.h"
#include "read/method_time_average.h"

static const Method methods[] = {
	{"last", 1, false, method_last},
	{"last_known", 1, false, method_last_known},
	{"first", 1, false, method_first},
	{"interpolated", 1, false, method_interpolated},
	{"min", 1, false, method_min},
	{"max", 1, false, method_max},
	{"range", 1, false, method_range},
	{"average", 1, false, method_average},
	{"time_average", 1, false, method_time_average},
	{"sum", 1, false, method_sum},
	{"count", 1, false, method_count},
	{"stddev", 1, false, method_stddev},
	{"delta", 1, false, method_delta},
	{"increase", 1, false, method_increase},
	{"rate", 1, false, method_rate},
	{"plot", 4, true, method_plot},
	{"lttb", 3, true, method_lttb},
	{"minmaxlttb", 3, true, method_minmaxlttb},
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
