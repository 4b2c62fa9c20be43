/*
 * announcement.c
 *	  The message, of a reserved tag, by which a producer tells clients its workload.
 *
 * The values are: version, start in s and ns, seed, rate, peak rate, period and length of peaks,
 * tags, values, decimals, and the number of messages (-1 while the producer runs).  Of a plant the
 * version is another one, so that a client that knows no plants waits, and the kind of the workload
 * follows.  All are integers below 2^53, which a double holds exactly.
 */
#include "announcement.h"

#include <inttypes.h>
#include <stdio.h>

#define VERSION		  1
#define VALUES		  12
#define PLANT_VERSION 2
#define PLANT_VALUES  13
#define NS_PER_S	  INT64_C(1000000000)

size_t
announcement_json(const Announcement *announcement, int64_t time_ns, char *out, size_t out_bytes)
{
	const WorkloadOptions *w = &announcement->workload;
	char kind[16] = "";

	if (w->kind != WORKLOAD_SKEWED)
		snprintf(kind, sizeof(kind), ",%d", (int) w->kind);
	return (size_t) snprintf(
		out, out_bytes,
		"{\"time\":%" PRId64 ",\"tag\":\"" ANNOUNCEMENT_TAG "\",\"values\":[%d,%" PRId64 ",%" PRId64
		",%" PRIu64 ",%u,%u,%u,%u,%u,%u,%u,%" PRId64 "%s]}",
		time_ns, w->kind == WORKLOAD_SKEWED ? VERSION : PLANT_VERSION, w->start_ns / NS_PER_S,
		w->start_ns % NS_PER_S, w->seed, w->rate, w->peak_rate, w->peak_every_s, w->peak_length_s,
		w->tags, w->values, w->decimals,
		announcement->ended ? (int64_t) announcement->messages : -1, kind);
}

bool
announcement_read(Announcement *announcement, const double *values, size_t count)
{
	bool plant = count == PLANT_VALUES && values[0] == PLANT_VERSION;

	if (!plant && (count != VALUES || values[0] != VERSION))
		return false;
	if (plant && values[12] != WORKLOAD_PLANT && values[12] != WORKLOAD_PLANT_AT_ONCE)
		return false;
	for (size_t i = 1; i < VALUES; i++)
	{
		double most = i == 1 ? 9e9 : i == 3 || i == 11 ? 9007199254740991.0 : UINT32_MAX;

		if (!(values[i] >= (i == 11 ? -1 : 0) && values[i] <= most))
			return false;
	}
	announcement->workload = (WorkloadOptions){
		.start_ns = (int64_t) values[1] * NS_PER_S + (int64_t) values[2],
		.seed = (uint64_t) values[3],
		.kind = plant ? (WorkloadKind) values[12] : WORKLOAD_SKEWED,
		.rate = (uint32_t) values[4],
		.peak_rate = (uint32_t) values[5],
		.peak_every_s = (uint32_t) values[6],
		.peak_length_s = (uint32_t) values[7],
		.tags = (uint32_t) values[8],
		.values = (uint32_t) values[9],
		.decimals = (uint32_t) values[10],
	};
	announcement->ended = values[11] >= 0;
	announcement->messages = announcement->ended ? (uint64_t) values[11] : 0;
	return workload_check(&announcement->workload) == NULL;
}
