/*
 * test_workload.c
 *	  TAP tests of the workload and its replay, against slow and direct computations.
 */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"
#include "workload.h"

#define START	 INT64_C(1700000000000000123)
#define MESSAGES 3000000

static int tests_run;
static int tests_failed;

static void
ok(bool passed, const char *format, ...)
{
	va_list arguments;

	printf("%sok %d - ", passed ? "" : "not ", ++tests_run);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	tests_failed += !passed;
}

static WorkloadOptions
some_options(void)
{
	return (WorkloadOptions){
		.start_ns = START, .seed = 7, .rate = 10000, .tags = 10000, .values = 10, .decimals = 2};
}

/* Times ascend, and workload_count is their inverse. */
static void
test_schedule(const char *what, WorkloadOptions options)
{
	Workload *workload = workload_open(&options);
	bool right = workload_count(workload, START - 1) == 0;
	int64_t last = START - 1;

	for (uint64_t i = 0; i < 200000; i++)
	{
		int64_t time = workload_time(workload, i);

		right = right && time > last && workload_count(workload, time) == i + 1 &&
				workload_count(workload, time - 1) == i;
		last = time;
	}
	ok(right, "%s: workload_count is the inverse of workload_time", what);
	workload_close(workload);
}

static void
test_no_drift(void)
{
	WorkloadOptions options = some_options();
	Workload *workload;

	options.rate = 7;
	workload = workload_open(&options);
	ok(workload_time(workload, 7 * UINT64_C(3155760000)) == START + INT64_C(3155760000000000000),
	   "a century at 7 messages/s ends to the nanosecond");
	workload_close(workload);

	options = some_options();
	options.peak_rate = 200000;
	options.peak_every_s = 60;
	options.peak_length_s = 1;
	workload = workload_open(&options);
	ok(workload_count(workload, START + INT64_C(60000000000) - 1) == 59 * 10000 + 200000,
	   "a minute with a peak of 1 s has 59 x 10,000 + 200,000 messages");
	ok(workload_time(workload, 59 * 10000 + 200000) == START + INT64_C(60000000000),
	   "the message after it opens the next minute");
	workload_close(workload);
}

/* Each of the top tags must lie within 5 standard deviations of its share. */
static void
test_tags(void)
{
	WorkloadOptions options = some_options();
	Workload *workload = workload_open(&options);
	uint64_t *counts = calloc(options.tags, sizeof(*counts));
	double share = 0.01;
	bool right = true;
	uint64_t tail = 0;

	for (uint64_t i = 0; i < MESSAGES; i++)
		counts[workload_tag(workload, i)]++;
	for (uint32_t tag = 0; tag < 400; tag++)
	{
		double expected = MESSAGES * share;

		if (fabs((double) counts[tag] - expected) > 5 * sqrt(expected))
		{
			right = false;
			printf("# tag %u: %lu messages, expected %.0f\n", tag, (unsigned long) counts[tag],
				   expected);
		}
		share *= 0.99;
	}
	for (uint32_t tag = 1900; tag < options.tags; tag++)
		tail += counts[tag];
	ok(right, "each of 400 tags takes 1%% of what the tags before it left");
	ok(tail <= 2, "tags past 1,900 hardly ever come");
	free(counts);
	workload_close(workload);

	options.tags = 3;
	workload = workload_open(&options);
	uint64_t few[3] = {0};
	for (uint64_t i = 0; i < 300000; i++)
		few[workload_tag(workload, i)]++;
	ok(labs((long) few[0] - 101000) < 2000 && labs((long) few[2] - 99000) < 2000,
	   "3 tags share all messages in the same proportion");
	workload_close(workload);
}

/* The JSON text's numbers are the doubles units / scale, and steps are small and centred. */
static void
test_values(uint32_t decimals)
{
	WorkloadOptions options = some_options();
	Workload *workload;
	int64_t values[10], before[10];
	char text[1024], name[WORKLOAD_TAG_BYTES];
	double scale, sum = 0;
	bool exact = true, small = true;

	options.decimals = decimals;
	workload = workload_open(&options);
	scale = (double) workload_scale(workload);
	for (uint64_t n = 0; n < 20000; n++)
	{
		const char *at;
		size_t length;

		memcpy(before, values, sizeof(values));
		workload_step(workload, 42, n, values);
		length = workload_json(workload, START + (int64_t) n, 42, values, text);
		text[length] = '\0';
		exact = exact && length < workload_max_json_bytes(workload);
		workload_tag_name(workload, 42, name);
		exact = exact && strstr(text, name) != NULL &&
				strtoll(text + 8, NULL, 10) == START + (int64_t) n;
		at = strchr(text, '[');
		for (int i = 0; i < 10; i++)
		{
			exact = exact && strtod(at + 1, (char **) &at) == (double) values[i] / scale &&
					*at == (i < 9 ? ',' : ']');
			if (n > 0)
			{
				small = small && llabs(values[i] - before[i]) <= workload_scale(workload);
				sum += (double) (values[i] - before[i]) / scale;
			}
		}
	}
	ok(exact, "%u decimals: strtod of the text is units / scale", decimals);
	ok(small, "%u decimals: no step is over 1", decimals);
	/* 200,000 steps of variance 1/3 (1 for 2/3 of them at 0 decimals): 5 sigma are below 1,900 */
	ok(fabs(sum) < 1900, "%u decimals: steps are centred", decimals);
	workload_close(workload);
}

/* The replay must agree with counting and stepping through from the start. */
static void
test_replay(void)
{
	WorkloadOptions options = some_options();
	Workload *workload = workload_open(&options);
	Replay *replay = replay_open(workload, 100);
	uint64_t counts[100] = {0};
	int64_t values[100][10];
	uint64_t asked = 0;
	bool right_counts = true, right_values = true;

	replay_advance(replay, 300000);
	for (uint64_t i = 0; i < 300000; i++)
	{
		uint32_t tag = workload_tag(workload, i);

		if (tag >= 100)
			continue;
		workload_step(workload, tag, counts[tag]++, values[tag]);
		if (i % 7 != 0 && i < 299000)
			continue;
		asked++;
		right_counts = right_counts && replay_count(replay, tag, i + 1) == counts[tag] &&
					   replay_count(replay, tag, i) == counts[tag] - 1;
		right_values = right_values && memcmp(replay_values(replay, tag, counts[tag] - 1),
											  values[tag], sizeof(values[tag])) == 0;
	}
	ok(asked > 20000 && right_counts, "replay counts the messages of a tag");
	ok(right_values, "replay gives the values of a message");

	/* Now in random order. */
	bool right = true;
	for (uint64_t i = 0; i < 2000; i++)
	{
		uint64_t n = i * 7919 % counts[3];
		int64_t expected[10];

		for (uint64_t m = 0; m <= n; m++)
			workload_step(workload, 3, m, expected);
		right = right && memcmp(replay_values(replay, 3, n), expected, sizeof(expected)) == 0;
	}
	ok(right, "also in random order");
	replay_close(replay);
	workload_close(workload);
}

static WorkloadOptions
plant_options(uint32_t tags, bool at_once)
{
	return (WorkloadOptions){.start_ns = START,
							 .seed = 7,
							 .kind = at_once ? WORKLOAD_PLANT_AT_ONCE : WORKLOAD_PLANT,
							 .rate = tags,
							 .tags = tags,
							 .values = 1,
							 .decimals = 2};
}

/* In each second each tag comes once, and the counts of each are those of counting. */
static void
test_plant_tags(uint32_t tags)
{
	WorkloadOptions options = plant_options(tags, false);
	Workload *workload = workload_open(&options);
	uint64_t *counts = calloc(tags, sizeof(*counts));
	bool once = true, counted = true;

	for (uint64_t i = 0; i < 3 * (uint64_t) tags; i++)
	{
		uint32_t tag = workload_tag(workload, i);

		once = once && tag < tags && counts[tag] == i / tags;
		if (!once)
			break;
		counted = counted && workload_plant_count(workload, tag, i) == counts[tag] &&
				  workload_plant_count(workload, tag, i + 1) == counts[tag] + 1;
		counts[tag]++;
	}
	ok(once, "each of %u tags of a plant comes once a second", tags);
	ok(counted, "and workload_plant_count counts it");
	free(counts);
	workload_close(workload);
}

static void
test_plant_times(void)
{
	WorkloadOptions options = plant_options(1000, true);
	Workload *workload = workload_open(&options);
	bool right = workload_count(workload, START - 1) == 0;

	for (uint64_t i = 0; i < 10000; i++)
	{
		int64_t time = START + (int64_t) (i / 1000) * 1000000000;

		right = right && workload_time(workload, i) == time &&
				workload_count(workload, time) == (i / 1000 + 1) * 1000 &&
				workload_count(workload, time - 1) == i / 1000 * 1000;
	}
	ok(right, "at once: 1,000 tags report at the beginning of each second");
	workload_close(workload);
	options.rate = 999;
	ok(workload_check(&options) != NULL, "a plant has one message a second of each tag");
}

static int
compare_names(const void *a, const void *b)
{
	return memcmp(a, b, WORKLOAD_TAG_BYTES);
}

/* Names are sorted to see that they differ; all of their bytes after the zero byte are zeros. */
static void
test_plant_names(void)
{
	const uint32_t tags = 200000;
	WorkloadOptions options = plant_options(WORKLOAD_MAX_TAGS, false);
	Workload *workload = workload_open(&options);
	char(*names)[WORKLOAD_TAG_BYTES] = calloc(tags, sizeof(*names));
	size_t most = 0, common = 0;
	bool right = true, distinct = true;

	for (uint32_t i = 0; i < tags; i++)
	{
		uint32_t tag = i < tags / 2 ? i : WORKLOAD_MAX_TAGS - 1 - (i - tags / 2) * 7;
		size_t length = workload_tag_name(workload, tag, names[i]);

		right = right && strlen(names[i]) == length &&
				strspn(names[i], "abcdefghijklmnopqrstuvwxyz0123456789-/") == length &&
				workload_tag_number(workload, names[i], length) == tag &&
				workload_tag_number(workload, names[i], length - 1) == UINT32_MAX;
		most = length > most ? length : most;
	}
	qsort(names, tags, sizeof(*names), compare_names);
	for (uint32_t i = 1; i < tags; i++)
	{
		size_t same = 0;

		while (names[i][same] != '\0' && names[i][same] == names[i - 1][same])
			same++;
		common += same;
		distinct = distinct && strcmp(names[i], names[i - 1]) != 0;
	}
	ok(right, "names of a plant tell the number of their tag");
	ok(distinct && most <= 60 && most > 50, "they differ and have up to 60 bytes (%zu)", most);
	ok(common / tags >= 25, "sorted, each has %zu bytes of the one before", common / tags);
	ok(workload_tag_number(workload, "rotterdam/alkylation/pump-99999999999999999999/flow", 51) ==
		   UINT32_MAX,
	   "a name with too many digits is none");
	free(names);
	workload_close(workload);
}

/* Two decimals: steps are of 0.05 at most, and all of them come. */
static void
test_plant_values(void)
{
	WorkloadOptions options = plant_options(1000, false);
	Workload *workload = workload_open(&options);
	uint32_t seen[11] = {0};
	int64_t value = 0, before;
	bool small = true;

	workload_step(workload, 17, 0, &value);
	for (uint64_t n = 1; n <= 11000; n++)
	{
		before = value;
		workload_step(workload, 17, n, &value);
		small = small && value - before >= -5 && value - before <= 5;
		if (!small)
			break;
		seen[value - before + 5]++;
	}
	for (int i = 0; i < 11; i++)
		small = small && seen[i] > 800 && seen[i] < 1200;
	ok(small, "a plant's values step by -0.05 to 0.05, each step as likely as the other");
	workload_close(workload);
}

static void
test_plant_replay(void)
{
	WorkloadOptions options = plant_options(1000, false);
	Workload *workload = workload_open(&options);
	Replay *replay = replay_open(workload, 10);
	bool right = true;

	replay_advance(replay, 700500);
	for (uint32_t tag = 0; tag < 10; tag++)
	{
		int64_t value = 0;
		uint64_t n = 0;

		for (uint64_t i = 0; i < 700500; i++)
		{
			if (workload_tag(workload, i) != tag)
				continue;
			workload_step(workload, tag, n++, &value);
			right = right && replay_count(replay, tag, i) == n - 1 &&
					replay_count(replay, tag, i + 1) == n &&
					replay_values(replay, tag, n - 1)[0] == value;
		}
		right = right && n >= 700;
	}
	ok(right, "replay counts and gives the values of a plant");
	replay_close(replay);
	workload_close(workload);
}

int
main(void)
{
	WorkloadOptions options = some_options();

	test_schedule("10,000/s", options);
	options.rate = 7;
	test_schedule("7/s", options);
	options.rate = 999983;
	test_schedule("999,983/s", options);
	options.rate = 1000;
	options.peak_rate = 50000;
	options.peak_every_s = 5;
	options.peak_length_s = 2;
	test_schedule("peaks", options);
	test_no_drift();
	test_tags();
	test_values(0);
	test_values(2);
	test_values(6);
	test_replay();
	test_schedule("a plant", plant_options(100000, false));
	test_plant_times();
	test_plant_tags(1);
	test_plant_tags(2);
	test_plant_tags(9973);
	test_plant_tags(100000);
	test_plant_names();
	test_plant_values();
	test_plant_replay();
	printf("1..%d\n", tests_run);
	return tests_failed > 0;
}
