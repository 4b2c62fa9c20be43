/*
 * totals.c
 *	  Checks that the server has every message that a producer sent, tag by tag.
 */
#include "totals.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WRONG_TO_PRINT 10

typedef struct Total
{
	uint64_t messages;
	int64_t first;
	int64_t last;
} Total;

static Total *expected_totals(const Announcement *announcement, const Workload *workload);
static bool read_line(FILE *lines, const Workload *workload, uint32_t *tag, Total *found);

int
totals_check(const Announcement *announcement, FILE *lines)
{
	uint32_t tags = announcement->workload.tags;
	Workload *workload = workload_open(&announcement->workload);
	Total *expected = expected_totals(announcement, workload);
	Total *found = calloc(tags, sizeof(*found));
	uint64_t messages = 0;
	uint32_t used = 0, wrong = 0;
	char name[WORKLOAD_TAG_BYTES];
	uint32_t tag;
	Total total;

	if (found == NULL)
		abort();
	while (read_line(lines, workload, &tag, &total))
		if (tag < tags)
			found[tag] = total;
	for (tag = 0; tag < tags; tag++)
	{
		messages += found[tag].messages;
		used += found[tag].messages > 0;
		if (memcmp(&found[tag], &expected[tag], sizeof(found[tag])) == 0 ||
			wrong++ >= WRONG_TO_PRINT)
			continue;
		workload_tag_name(workload, tag, name);
		fprintf(stderr,
				"wrong: %s has %" PRIu64 " messages from %" PRId64 " to %" PRId64
				", expected %" PRIu64 " from %" PRId64 " to %" PRId64 "\n",
				name, found[tag].messages, found[tag].first, found[tag].last,
				expected[tag].messages, expected[tag].first, expected[tag].last);
	}
	printf("totals: %" PRIu64 " messages sent, %" PRIu64 " stored in %u tags, %u tags wrong%s\n",
		   announcement->messages, messages, used, wrong, wrong > 0 ? ": FAILED" : "");
	free(found);
	free(expected);
	workload_close(workload);
	return wrong > 0;
}

/* Computes the totals of each tag from the workload; the caller frees them. */
static Total *
expected_totals(const Announcement *announcement, const Workload *workload)
{
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
	return totals;
}

/* Reads a line; false at the end.  *tag is UINT32_MAX if the tag is none of the workload. */
static bool
read_line(FILE *lines, const Workload *workload, uint32_t *tag, Total *found)
{
	char line[1024];
	char *name_end;
	int bytes = 0;

	if (fgets(line, sizeof(line), lines) == NULL)
		return false;
	*tag = UINT32_MAX;
	name_end = strchr(line, '\t');
	if (name_end != NULL &&
		sscanf(name_end, "\t%" SCNu64 "\t%" SCNd64 "\t%" SCNd64 "%n", &found->messages,
			   &found->first, &found->last, &bytes) == 3 &&
		name_end[bytes] == '\n')
		*tag = workload_tag_number(workload, line, (size_t) (name_end - line));
	return true;
}
