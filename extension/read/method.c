/*
 * method.c
 *	  The methods of downsampling by name.
 */
#include "postgres.h"

#include "read/method.h"

#include <float.h>

#include "lib/stringinfo.h"

#include "read/method_carry.h"
#include "read/method_first.h"
#include "read/method_increase.h"
#include "read/method_last_known.h"
#include "read/method_lttb.h"
#include "read/method_percentile.h"
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
	{"increase", 1, false, method_increase, "modulus", false, DBL_MIN, DBL_MAX},
	{"rate", 1, false, method_rate, "modulus", false, DBL_MIN, DBL_MAX},
	{"percentile", 1, false, method_percentile, "percentage", true, 0, 100},
	{"plot", 4, true, method_plot},
	{"lttb", 3, true, method_lttb},
	{"minmaxlttb", 3, true, method_minmaxlttb},
};

static double read_argument(const Method *method, const char *call);
static void refuse_argument(const Method *method, const char *call);

const Method *
method_find(const char *call, int32 samples, double *argument)
{
	Size		name_bytes = strcspn(call, "(");
	StringInfoData names;

	for (int i = 0; i < lengthof(methods); i++)
	{
		const Method *method = &methods[i];

		if (strlen(method->name) != name_bytes || strncmp(method->name, call, name_bytes) != 0)
			continue;
		if (samples < method->min_samples)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("method \"%s\" needs at least %d samples", method->name,
						   method->min_samples));
		*argument = read_argument(method, call);
		return method;
	}

	initStringInfo(&names);
	for (int i = 0; i < lengthof(methods); i++)
		appendStringInfo(&names, "%s%s%s", i == 0 ? "" : ", ", methods[i].name,
						 methods[i].argument_required ? "(..)" : "");
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("unknown method \"%s\"", call),
			errhint("The methods are %s.", names.data));
	return NULL;				/* not reached */
}

/* Returns the number in the parentheses after the name, or 0 if there are none. */
static double
read_argument(const Method *method, const char *call)
{
	const char *text = call + strlen(method->name);
	char	   *end;
	double		argument;

	if (*text == '\0')
	{
		if (method->argument_required)
			refuse_argument(method, call);
		return 0;
	}
	if (method->argument == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("method \"%s\" takes no argument", method->name));
	argument = strtod(text +1, &end);
	if (end == text +1 || strcmp(end, ")") != 0 ||
		!(argument >= method->least_argument && argument <= method->greatest_argument))
		refuse_argument(method, call);
	return argument;
}

static void
refuse_argument(const Method *method, const char *call)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("method \"%s\" needs a %s in parentheses", call, method->argument),
			errhint("For example \"%s(%g)\". It is from %g to %g.", method->name,
					method->greatest_argument == DBL_MAX ? 65536.0 : 95.0, method->least_argument,
					method->greatest_argument));
}
