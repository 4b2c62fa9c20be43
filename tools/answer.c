/*
 * answer.c
 *	  Reads the JSON of an answer of GET /api.
 */
#include "answer.h"

#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool read_samples(Answer *answer, json_object *samples);
static bool read_values(Answer *answer, size_t sample, json_object *values);

bool
answer_parse(Answer *answer, const char *json, size_t bytes)
{
	json_tokener *tokener = json_tokener_new();
	json_object *root = json_tokener_parse_ex(tokener, json, (int) bytes);
	json_object *samples;
	bool right;

	memset(answer, 0, sizeof(*answer));
	right = root != NULL && json_object_object_get_ex(root, "samples", &samples) &&
			json_object_is_type(samples, json_type_array) && read_samples(answer, samples);
	json_object_put(root);
	json_tokener_free(tokener);
	return right;
}

void
answer_free(Answer *answer)
{
	free(answer->times);
	free(answer->widths);
	free(answer->values);
	memset(answer, 0, sizeof(*answer));
}

/* Reads all samples; false if one has no time or no values. */
static bool
read_samples(Answer *answer, json_object *samples)
{
	size_t count = json_object_array_length(samples);
	json_object *sample, *field;

	answer->samples = count;
	for (size_t i = 0; i < count; i++)
	{
		sample = json_object_array_get_idx(samples, i);
		if (json_object_object_get_ex(sample, "values", &field) && field != NULL &&
			json_object_is_type(field, json_type_array) &&
			json_object_array_length(field) > answer->max_width)
			answer->max_width = json_object_array_length(field);
	}
	answer->times = calloc(count + 1, sizeof(*answer->times));
	answer->widths = calloc(count + 1, sizeof(*answer->widths));
	answer->values = calloc(count * answer->max_width + 1, sizeof(*answer->values));
	if (answer->times == NULL || answer->widths == NULL || answer->values == NULL)
		abort();
	for (size_t i = 0; i < count; i++)
	{
		sample = json_object_array_get_idx(samples, i);
		if (!json_object_object_get_ex(sample, "time", &field) ||
			!json_object_is_type(field, json_type_int))
			return false;
		answer->times[i] = json_object_get_int64(field);
		if (!json_object_object_get_ex(sample, "values", &field) || !read_values(answer, i, field))
			return false;
	}
	return true;
}

/* Reads the values of a sample; a null among them becomes NaN. */
static bool
read_values(Answer *answer, size_t sample, json_object *values)
{
	double *out = answer->values + sample * answer->max_width;

	if (values == NULL)
	{
		answer->widths[sample] = ANSWER_NULL;
		return true;
	}
	if (!json_object_is_type(values, json_type_array))
		return false;
	answer->widths[sample] = (int32_t) json_object_array_length(values);
	for (int32_t i = 0; i < answer->widths[sample]; i++)
	{
		json_object *value = json_object_array_get_idx(values, (size_t) i);

		if (json_object_is_type(value, json_type_int) ||
			json_object_is_type(value, json_type_double))
			out[i] = json_object_get_double(value);
		else
			out[i] = NAN;
	}
	return true;
}
