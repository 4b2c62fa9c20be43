/*
 * replay.c
 *	  Computes the values that a workload's most frequent tags had at any time since its start.
 *
 * There are two kinds of marks.  After each interval of the workload's messages, a mark has the
 * count of each tag; the interval doubles when there are too many marks.  After each
 * VALUES_INTERVAL messages of a tag, a mark has its values.  A plant's counts follow from the number
 * of messages, without marks.  For each kind a cursor has the last
 * answer, from which ascending questions go on.
 */
#include "replay.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COUNT_MARKS (1 << 18)
#define VALUES_INTERVAL 256

typedef struct TagReplay
{
	uint64_t count;	 /* of the messages computed so far */
	int64_t *values; /* of the last of these messages */
	int64_t *marks;	 /* values of messages 0, VALUES_INTERVAL, ... */
	uint64_t marks_allocated;

	uint64_t cursor_n; /* the message of which cursor_values are; UINT64_MAX: none */
	int64_t *cursor_values;
	uint64_t cursor_messages; /* this and the next: last question and answer of replay_count() */
	uint64_t cursor_count;
} TagReplay;

struct Replay
{
	const Workload *workload;
	uint32_t tags;
	uint32_t values;
	uint64_t messages; /* computed so far */
	bool plant;		   /* which needs no count marks */
	uint64_t interval; /* between two count marks */
	uint32_t *counts;  /* mark m: the tags' counts among the first m * interval messages */
	uint64_t counts_allocated;
	TagReplay *tag;
};

static void *resize(void *memory, size_t count, size_t bytes);
static void mark_counts(Replay *replay);
static void add_message(Replay *replay, TagReplay *tag, uint32_t number);

Replay *
replay_open(const Workload *workload, uint32_t tags)
{
	Replay *replay = resize(NULL, 1, sizeof(*replay));

	memset(replay, 0, sizeof(*replay));
	replay->workload = workload;
	replay->tags = tags;
	replay->values = workload_options(workload)->values;
	replay->plant = workload_options(workload)->kind != WORKLOAD_SKEWED;
	replay->interval = 1024;
	replay->tag = resize(NULL, tags, sizeof(TagReplay));
	memset(replay->tag, 0, tags * sizeof(TagReplay));
	for (uint32_t i = 0; i < tags; i++)
	{
		replay->tag[i].values = resize(NULL, replay->values, sizeof(int64_t));
		replay->tag[i].cursor_values = resize(NULL, replay->values, sizeof(int64_t));
		replay->tag[i].cursor_n = UINT64_MAX;
	}
	return replay;
}

void
replay_close(Replay *replay)
{
	if (replay == NULL)
		return;
	for (uint32_t i = 0; i < replay->tags; i++)
	{
		free(replay->tag[i].values);
		free(replay->tag[i].cursor_values);
		free(replay->tag[i].marks);
	}
	free(replay->tag);
	free(replay->counts);
	free(replay);
}

void
replay_advance(Replay *replay, uint64_t messages)
{
	if (replay->plant)
	{
		for (uint32_t i = 0; i < replay->tags; i++)
			while (replay->tag[i].count < workload_plant_count(replay->workload, i, messages))
				add_message(replay, &replay->tag[i], i);
		return;
	}
	while (replay->messages < messages)
	{
		uint32_t tag = workload_tag(replay->workload, replay->messages);

		if (replay->messages % replay->interval == 0)
			mark_counts(replay);
		if (tag < replay->tags)
			add_message(replay, &replay->tag[tag], tag);
		replay->messages++;
	}
}

uint64_t
replay_count(Replay *replay, uint32_t tag, uint64_t messages)
{
	TagReplay *t = &replay->tag[tag];
	uint64_t i, count;

	if (messages == 0)
		return 0;
	if (replay->plant)
	{
		count = workload_plant_count(replay->workload, tag, messages);
		return count < t->count ? count : t->count;
	}
	if (messages >= replay->messages)
		return t->count;
	if (t->cursor_messages <= messages &&
		t->cursor_messages / replay->interval == messages / replay->interval)
	{
		i = t->cursor_messages;
		count = t->cursor_count;
	}
	else
	{
		i = messages / replay->interval * replay->interval;
		count = replay->counts[messages / replay->interval * replay->tags + tag];
	}
	for (; i < messages; i++)
		count += workload_tag(replay->workload, i) == tag;
	t->cursor_messages = messages;
	t->cursor_count = count;
	return count;
}

const int64_t *
replay_values(Replay *replay, uint32_t tag, uint64_t n)
{
	TagReplay *t = &replay->tag[tag];
	uint64_t mark = n / VALUES_INTERVAL;

	if (t->cursor_n > n || n - t->cursor_n > VALUES_INTERVAL)
	{
		memcpy(t->cursor_values, t->marks + mark * replay->values,
			   replay->values * sizeof(int64_t));
		t->cursor_n = mark * VALUES_INTERVAL;
	}
	while (t->cursor_n < n)
		workload_step(replay->workload, tag, ++t->cursor_n, t->cursor_values);
	return t->cursor_values;
}

static void *
resize(void *memory, size_t count, size_t bytes)
{
	memory = count > SIZE_MAX / bytes ? NULL : realloc(memory, count * bytes);
	if (memory == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return memory;
}

/*
 * Makes a mark of all counts at the current message; before that, drops every other mark if it
 * must.
 */
static void
mark_counts(Replay *replay)
{
	uint64_t mark = replay->messages / replay->interval;
	size_t bytes = replay->tags * sizeof(uint32_t);

	if (mark == MAX_COUNT_MARKS)
	{
		for (uint64_t i = 0; i < mark / 2; i++)
			memcpy(replay->counts + i * replay->tags, replay->counts + 2 * i * replay->tags, bytes);
		replay->interval *= 2;
		mark /= 2;
		for (uint32_t i = 0; i < replay->tags; i++)
			replay->tag[i].cursor_messages = replay->tag[i].cursor_count = 0;
	}
	if (mark == replay->counts_allocated)
	{
		replay->counts_allocated = mark == 0 ? 64 : mark * 2;
		replay->counts = resize(replay->counts, replay->counts_allocated, bytes);
	}
	for (uint32_t i = 0; i < replay->tags; i++)
		replay->counts[mark * replay->tags + i] = (uint32_t) replay->tag[i].count;
}

/* Computes the next message of a tag, and makes a mark of its values if one is due. */
static void
add_message(Replay *replay, TagReplay *tag, uint32_t number)
{
	workload_step(replay->workload, number, tag->count, tag->values);
	if (tag->count % VALUES_INTERVAL == 0)
	{
		uint64_t mark = tag->count / VALUES_INTERVAL;

		if (mark == tag->marks_allocated)
		{
			tag->marks_allocated = mark == 0 ? 8 : mark * 2;
			tag->marks = resize(tag->marks, tag->marks_allocated, replay->values * sizeof(int64_t));
		}
		memcpy(tag->marks + mark * replay->values, tag->values, replay->values * sizeof(int64_t));
	}
	tag->count++;
}
