/*
 * lag.c
 *	  historian-lag: how long after a message was due SQL sees it.
 *
 * A session of its own asks again and again which rows of some tags are there.  A row is as late
 * as the end of the query that returned it first, minus the row's own time, which the sender set
 * to when the message was due (historian-flood --start due).  So nothing of the server's own
 * measurements is used.  What is asked for begins a little before the newest row known; rows that
 * came in late behind that are found by a last query over everything, and count as that late.
 */
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "latency.h"
#include "options.h"
#include "workload.h"

#define NS		  INT64_C(1000000000)
#define MARGIN_NS (NS / 10)
#define MAX_TAGS  16

/* The rows seen, by the hash of tag and time. */
typedef struct Seen
{
	uint64_t *keys; /* 0: free */
	size_t count;
	size_t size;
} Seen;

typedef struct Lag
{
	PGconn *connection;
	const char *table;
	char tag_list[MAX_TAGS * (WORKLOAD_TAG_BYTES + 1) + 2]; /* as an array's text */
	int64_t from_ns;
	int64_t newest_ns;
	Seen seen;
	Latency latency;
} Lag;

static const char usage[] = "historian-lag: how long after a message was due SQL sees it\n"
							"\n"
							"  --database CONNINFO  libpq's\n"
							"  --table NAME         (measurement)\n"
							"  --workload KIND      skewed, or plant (skewed)\n"
							"  --tags N             polls for the first N tags, at most 16 (10)\n"
							"  --duration TIME      (10s)\n"
							"  --every MS           the pause between two polls (20)\n";

static void
fail(const char *what)
{
	fprintf(stderr, "historian-lag: %s\n", what);
	exit(1);
}

static bool
seen_add(Seen *seen, uint64_t key)
{
	size_t at;

	if (seen->count * 2 >= seen->size)
	{
		Seen larger = {.size = seen->size == 0 ? 65536 : seen->size * 2};

		larger.keys = calloc(larger.size, sizeof(uint64_t));
		if (larger.keys == NULL)
			fail("out of memory");
		for (size_t i = 0; i < seen->size; i++)
		{
			if (seen->keys[i] != 0)
				seen_add(&larger, seen->keys[i]);
		}
		free(seen->keys);
		*seen = larger;
	}
	at = (key * UINT64_C(0x9E3779B97F4A7C15)) % seen->size;
	while (seen->keys[at] != 0)
	{
		if (seen->keys[at] == key)
			return false;
		at = (at + 1) % seen->size;
	}
	seen->keys[at] = key;
	seen->count++;
	return true;
}

/* Rows of the tags past the time; those not seen before are as late as the answer. */
static uint64_t
look(Lag *lag, int64_t after_ns)
{
	char sql[sizeof(lag->tag_list) + 256];
	PGresult *result;
	int64_t now;
	uint64_t news = 0;

	snprintf(sql, sizeof(sql),
			 "SELECT time, tag FROM %s WHERE time > %" PRId64 " AND tag = ANY ('%s')", lag->table,
			 after_ns, lag->tag_list);
	result = PQexecParams(lag->connection, sql, 0, NULL, NULL, NULL, NULL, 0);
	now = now_ns();
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fail(PQerrorMessage(lag->connection));
	for (int row = 0; row < PQntuples(result); row++)
	{
		int64_t time_ns = strtoll(PQgetvalue(result, row, 0), NULL, 10);
		const char *tag = strstr(lag->tag_list, PQgetvalue(result, row, 1));

		/* The place of the tag in the list tells rows of the same time apart. */
		if (!seen_add(&lag->seen, (uint64_t) time_ns * sizeof(lag->tag_list) +
									  (uint64_t) (tag - lag->tag_list)))
			continue;
		latency_add(&lag->latency, (uint64_t) (now > time_ns ? now - time_ns : 0));
		if (time_ns > lag->newest_ns)
			lag->newest_ns = time_ns;
		news++;
	}
	PQclear(result);
	return news;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"database", required_argument, NULL, 'd'}, {"table", required_argument, NULL, 't'},
		{"workload", required_argument, NULL, 'w'}, {"tags", required_argument, NULL, 'n'},
		{"duration", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'},
		{"every", required_argument, NULL, 'e'},	{0}};
	Lag lag = {.table = "measurement"};
	static const char *const workloads[] = {"skewed", "plant", NULL};
	WorkloadOptions workload_options = {.rate = 10000, .tags = 10000, .values = 1};
	Workload *workload;
	const char *database = "";
	uint64_t tags = 10;
	uint64_t every_ms = 20;
	int64_t end_ns = now_ns() + 10 * NS;
	uint64_t polls = 0;
	uint64_t late;
	const char *name;
	int option;

	while ((option = option_next(argc, argv, options, usage, &name)) != -1)
	{
		switch (option)
		{
			case 'd':
				database = optarg;
				break;
			case 't':
				lag.table = optarg;
				break;
			case 'n':
				tags = option_number(name, optarg, 1, MAX_TAGS);
				break;
			case 'w':
				if (option_word(name, optarg, workloads) == 1)
					workload_options.kind = WORKLOAD_PLANT;
				break;
			case 's':
				end_ns = now_ns() + (int64_t) option_seconds(name, optarg) * NS;
				break;
			case 'e':
				every_ms = option_number(name, optarg, 1, 10000);
				break;
		}
	}
	workload = workload_open(&workload_options);
	for (uint32_t tag = 0; tag < tags; tag++)
	{
		char *out = lag.tag_list + strlen(lag.tag_list);

		*out++ = tag == 0 ? '{' : ',';
		workload_tag_name(workload, tag, out);
	}
	strcat(lag.tag_list, "}");
	workload_close(workload);
	lag.connection = PQconnectdb(database);
	if (PQstatus(lag.connection) != CONNECTION_OK)
		fail(PQerrorMessage(lag.connection));
	lag.from_ns = now_ns();
	lag.newest_ns = lag.from_ns;
	while (now_ns() < end_ns)
	{
		struct timespec pause = {.tv_nsec = (long) every_ms * 1000000};
		int64_t after = lag.newest_ns - MARGIN_NS;

		look(&lag, after > lag.from_ns ? after : lag.from_ns);
		polls++;
		nanosleep(&pause, NULL);
	}
	late = look(&lag, lag.from_ns);
	printf("rows=%zu polls=%" PRIu64 " missed=%" PRIu64 " p50_ms=%.1f p99_ms=%.1f max_ms=%.1f\n",
		   lag.latency.count, polls, late, latency_percentile_ms(&lag.latency, 50),
		   latency_percentile_ms(&lag.latency, 99), latency_percentile_ms(&lag.latency, 100));
	PQfinish(lag.connection);
	return 0;
}
