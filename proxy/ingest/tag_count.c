/*
 * tag_count.c
 *	  An estimate of how many different tags many messages have, in little memory.
 */
#include "ingest/tag_count.h"

#include "ingest/batch.h"

#include <math.h>
#include <stdlib.h>

#define MAP_BITS_LOG2 18
#define MAP_BITS	  (UINT32_C(1) << MAP_BITS_LOG2)

struct TagCount
{
	uint64_t messages;
	uint32_t unset;
	uint64_t map[MAP_BITS / 64];
};

TagCount *
tag_count_new(void)
{
	TagCount *count = memory_new(sizeof(TagCount));

	count->unset = MAP_BITS;
	return count;
}

void
tag_count_free(TagCount *count)
{
	free(count);
}

void
tag_count_add(TagCount *count, const Stage *stage)
{
	const StagedMessage *message = (const StagedMessage *) stage->data;

	for (uint32_t i = 0; i < stage->count; i++)
	{
		/* Where names follow one another, the hash's low bits alone are uneven for some keys. */
		uint64_t hash = tag_name_hash(staged_tag(message), message->tag_length);
		uint32_t bit =
			(uint32_t) ((hash ^ hash >> 32) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - MAP_BITS_LOG2));
		uint64_t mask = UINT64_C(1) << bit % 64;

		count->unset -= (count->map[bit / 64] & mask) == 0;
		count->map[bit / 64] |= mask;
		message = staged_next(message);
	}
	count->messages += stage->count;
}

uint64_t
tag_count_estimate(const TagCount *count)
{
	double tags;

	/* With so few bits unset, the map tells nothing: each message may have a tag of its own. */
	if (count->unset < 64)
		return count->messages;
	tags = -(double) MAP_BITS * log((double) count->unset / MAP_BITS);
	return tags < (double) count->messages ? (uint64_t) tags : count->messages;
}
