/*
 * totals.c
 *	  Does the server have every message that a producer sent, tag by tag?
 */
#include "totals.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#define WRONG_TO_PRINT 10

typedef struct Total
{
	uint64_t messages;
	int64_t first;
	int64_t last;
} Total;

static Total *expected_totals(const Announcement *announcement);
static json_object *find_tags(json_object *root);
static bool find_tag(const char *name, uint32_t tags, uint32_t *tag);
static bool is_right(const Total *expected, json_object *entry);
static int64_t get_int(json_object *entry, const char *name);

int
totals_check(const Announcement *announcement, const char *json, size_t bytes)
{
	json_tokener *tokener = json_tokener_new();
	json_object *root = json_tokener_parse_ex(tokener, json, (int) bytes);
	json_object *tags = find_tags(root);
	Total *totals = expected_totals(announcement);
	uint64_t found = 0, wrong = 0, tag_count = 0;

	for (size_t i = 0; tags != NULL && i < json_object_array_length(tags); i++)
	{
		json_object *entry = json_object_array_get_idx(tags, i);
		json_object *name;
		uint32_t tag;

		if (!json_object_object_get_ex(entry, "tagName", &name) ||
			!find_tag(json_object_get_string(name), announcement->workload.tags, &tag))
			continue;
		found += (uint64_t) get_int(entry, "count");
		if (!is_right(&totals[tag], entry) && wrong++ < WRONG_TO_PRINT)
			fprintf(stderr,
					"wrong: tag %u has %" PRId64 " messages from %" PRId64 " to %" PRId64
					", expected %" PRIu64 " from %" PRId64 " to %" PRId64 "\n",
					tag, get_int(entry, "count"), get_int(entry, "first"), get_int(entry, "last"),
					totals[tag].messages, totals[tag].first, totals[tag].last);
		tag_count++;
		totals[tag].messages = 0;
	}
	for (uint32_t i = 0; i < announcement->workload.tags; i++)
		if (totals[i].messages > 0 && wrong++ < WRONG_TO_PRINT)
			fprintf(stderr, "wrong: tag %u is missing\n", i);
	printf("totals: %" PRIu64 " messages sent, %" PRIu64 " stored in %" PRIu64 " tags, %" PRIu64
		   " tags wrong%s\n",
		   announcement->messages, found, tag_count, wrong,
		   wrong > 0 || found != announcement->messages ? ": FAILED" : "");
	free(totals);
	json_object_put(root);
	json_tokener_free(tokener);
	return wrong > 0 || found != announcement->messages;
}

static Total *
expected_totals(const Announcement *announcement)
{
	Workload *workload = workload_open(&announcement->workload);
	Total *totals = calloc(announcement->workload.tags, sizeof(*totals));

	if (totals == NULL)
		abort();
	for (uint64_t i = 0; i < announcement->messages; i++)
	{
		Total *total = &totals[workload_tag(workload, i)];

		total->last = workload_time(workload, i);
		if (total->messages++ == 0)
			total->first = total->last;
	}
	workload_close(workload);
	return totals;
}

/* The list of tags, or NULL. */
static json_object *
find_tags(json_object *root)
{
	json_object *tags;

	if (root == NULL || !json_object_object_get_ex(root, "tags", &tags) ||
		!json_object_is_type(tags, json_type_array))
		return NULL;
	return tags;
}

/* Is it the name of one of the workload's tags? */
static bool
find_tag(const char *name, uint32_t tags, uint32_t *tag)
{
	char *end;
	unsigned long number;

	if (name == NULL || name[0] != 't' || name[1] < '0' || name[1] > '9')
		return false;
	number = strtoul(name + 1, &end, 10);
	*tag = (uint32_t) number;
	return *end == '\0' && number < tags;
}

static bool
is_right(const Total *expected, json_object *entry)
{
	return get_int(entry, "count") == (int64_t) expected->messages &&
		   get_int(entry, "first") == expected->first && get_int(entry, "last") == expected->last;
}

static int64_t
get_int(json_object *entry, const char *name)
{
	json_object *field;

	return json_object_object_get_ex(entry, name, &field) ? json_object_get_int64(field) : -1;
}
