/*
 * point_merge.c
 *	  Merges fields of one series and time that come in several lines into one point.
 *
 * InfluxDB keeps the union of such fields, and Telegraf relies on that.  A row has values without
 * names, so that two rows cannot be merged later.  Therefore the last points are remembered with
 * the names of their fields.  A line that adds fields to one of them becomes the whole point, whose
 * row replaces the earlier one as any later row of the same tag and time does.
 *
 * Rows may reach the buffer in another order than their lines were merged in, because the lines
 * come in different requests.  The row that is appended last would then lack the fields that were
 * merged last.  So merges between requests ("crossings") are counted.  If there were any since a
 * stage was begun, its points are looked up again before it is appended.
 *
 * Memory is bounded.  The points of a shard are appended to one of two halves; when that is full,
 * the other one, which has the oldest points, is emptied and used next.  Each shard has a lock of
 * its own, so that threads seldom wait for each other.
 */
#include "ingest/point_merge.h"

#include "base/assert.h"
#include "base/memory.h"
#include "ingest/stage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS			32
#define HALF_BYTES		((size_t) 128 * 1024)
#define MAX_POINT_BYTES ((size_t) 128 * 1024)
#define SLOTS			4096 /* a power of two, more than there are points in a half */

/*
 * A remembered point.  The values are followed by the tag, and by each name after its two-byte
 * length.
 */
typedef struct Point
{
	uint64_t hash;
	int64_t time_ns;
	uint64_t writer;
	uint32_t bytes; /* of the whole point, a multiple of 8 */
	uint32_t count;
	uint32_t tag_length;
	uint32_t unused;
	double values[];
} Point;

typedef struct Half
{
	char *data; /* NULL: not used yet */
	size_t used;
	uint32_t slots[SLOTS]; /* hash table: a point's place in data + 1; 0: free */
} Half;

typedef struct Shard
{
	pthread_mutex_t lock;
	Half *current;
	Half *older;
	Half halves[2];
} Shard;

struct PointMerge
{
	FieldPlaces *places;
	pthread_mutex_t append;
	_Atomic uint64_t writers;
	_Atomic uint64_t crossings; /* merges of one writer's fields with another's */
	Shard shards[SHARDS];
};

/* A position among a point's fields. */
typedef struct Cursor
{
	const Point *point;
	uint32_t index;
	const char *name; /* begins with its length */
} Cursor;

PointMerge *
point_merge_new(FieldPlaces *places)
{
	PointMerge *merge = memory_new(sizeof(PointMerge));

	merge->places = places;
	pthread_mutex_init(&merge->append, NULL);
	for (int i = 0; i < SHARDS; i++)
	{
		Shard *shard = &merge->shards[i];

		pthread_mutex_init(&shard->lock, NULL);
		shard->current = &shard->halves[0];
		shard->older = &shard->halves[1];
	}
	return merge;
}

static void
empty(Half *half)
{
	half->used = 0;
	memset(half->slots, 0, sizeof(half->slots));
}

void
point_merge_forget(PointMerge *merge)
{
	for (int i = 0; i < SHARDS; i++)
	{
		Shard *shard = &merge->shards[i];

		pthread_mutex_lock(&shard->lock);
		empty(&shard->halves[0]);
		empty(&shard->halves[1]);
		pthread_mutex_unlock(&shard->lock);
	}
}

static uint64_t
hash_point(uint64_t tag_hash, int64_t time_ns)
{
	uint64_t hash = (tag_hash ^ (uint64_t) time_ns) * UINT64_C(0xbf58476d1ce4e5b9);

	return hash ^ hash >> 32;
}

static char *
tag_of(const Point *point)
{
	return (char *) (point->values + point->count);
}

static uint16_t
name_length(const char *name)
{
	uint16_t length;

	memcpy(&length, name, sizeof(length));
	return length;
}

/* Sets the size of a point whose names end at end. */
static void
end_point(Point *point, const char *end)
{
	point->bytes = (uint32_t) (((size_t) (end - (const char *) point) + 7) & ~(size_t) 7);
}

/* Writes a name without the backslashes of its escapes. */
static char *
put_name(char *out, PointName name)
{
	char *start = out;
	uint16_t length;

	out += sizeof(length);
	for (size_t i = 0; i < name.length; i++)
	{
		if (name.start[i] == '\\' && i + 1 < name.length &&
			(name.start[i + 1] == ',' || name.start[i + 1] == '=' || name.start[i + 1] == ' '))
			i++;
		*out++ = name.start[i];
	}
	length = (uint16_t) (out - start - (ptrdiff_t) sizeof(length));
	memcpy(start, &length, sizeof(length));
	return out;
}

/* Returns the slot of the point, or the free slot where it would be. */
static uint32_t *
find_slot(Half *half, uint64_t hash, int64_t time_ns, const char *tag, size_t tag_length)
{
	for (size_t i = hash >> 8;; i++)
	{
		uint32_t *slot = &half->slots[i % SLOTS];
		const Point *point = (const Point *) (half->data + *slot - 1);

		if (*slot == 0 ||
			(point->hash == hash && point->time_ns == time_ns && point->tag_length == tag_length &&
			 memcmp(tag_of(point), tag, tag_length) == 0))
			return slot;
	}
}

/* Returns the remembered point, or NULL.  The caller holds the shard's lock. */
static const Point *
find(const Shard *shard, uint64_t hash, int64_t time_ns, const char *tag, size_t tag_length)
{
	Half *const halves[] = {shard->current, shard->older};

	for (int i = 0; i < 2; i++)
	{
		uint32_t slot;

		if (halves[i]->used == 0)
			continue;
		slot = *find_slot(halves[i], hash, time_ns, tag, tag_length);
		if (slot != 0)
			return (const Point *) (halves[i]->data + slot - 1);
	}
	return NULL;
}

static void
advance(Cursor *cursor)
{
	cursor->name += sizeof(uint16_t) + name_length(cursor->name);
	cursor->index++;
}

static int
compare(const Cursor *a, const Cursor *b)
{
	size_t a_length = name_length(a->name);
	size_t b_length = name_length(b->name);
	int order = memcmp(a->name + sizeof(uint16_t), b->name + sizeof(uint16_t),
					   a_length < b_length ? a_length : b_length);

	return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

static char *
copy_name(char *out, const char *name)
{
	size_t length = sizeof(uint16_t) + name_length(name);

	memcpy(out, name, length);
	return out + length;
}

/*
 * Writes the union of two points to out; if both have a field, it takes the newer value.  The first
 * of two rounds counts the fields, because the names follow the values.  Returns false if it is
 * more than a row holds.
 */
static bool
unite(Point *out, const Point *older, const Point *newer)
{
	char *end = NULL;

	*out = *newer;
	for (int round = 0; round < 2; round++)
	{
		Cursor a = {older, 0, tag_of(older) + older->tag_length};
		Cursor b = {newer, 0, tag_of(newer) + newer->tag_length};
		uint32_t count = 0;

		while (a.index < older->count || b.index < newer->count)
		{
			int order = a.index == older->count	  ? 1
						: b.index == newer->count ? -1
												  : compare(&a, &b);
			const Cursor *taken = order < 0 ? &a : &b;

			if (round > 0)
			{
				out->values[count] = taken->point->values[taken->index];
				end = copy_name(end, taken->name);
			}
			count++;
			if (order <= 0)
				advance(&a);
			if (order >= 0)
				advance(&b);
		}
		if (round > 0)
			break;
		if (count > MESSAGE_MAX_VALUES || !stage_fits(count, false, newer->tag_length) ||
			older->bytes + newer->bytes > MAX_POINT_BYTES)
			return false;
		out->count = count;
		memcpy(tag_of(out), tag_of(newer), newer->tag_length);
		end = tag_of(out) + newer->tag_length;
	}
	end_point(out, end);
	return true;
}

/* Returns where the next point goes, with room for it and for its union with another one. */
static Point *
next_place(Shard *shard)
{
	if (shard->current->used >= HALF_BYTES)
	{
		Half *older = shard->older;

		shard->older = shard->current;
		shard->current = older;
		empty(older);
	}
	if (shard->current->data == NULL)
		shard->current->data = memory_new_raw(HALF_BYTES + 2 * MAX_POINT_BYTES);
	return (Point *) (shard->current->data + shard->current->used);
}

PointWriter
point_merge_writer(PointMerge *merge)
{
	return (PointWriter){atomic_fetch_add(&merge->writers, 1), atomic_load(&merge->crossings)};
}

/* Describes a point whose names end at end, for its places. */
static NamedPoint
named(const Point *point, uint64_t tag_hash, const char *end)
{
	const char *packed = tag_of(point) + point->tag_length;

	return (NamedPoint){tag_of(point), point->tag_length, tag_hash, packed,
						(size_t) (end - packed)};
}

/* Returns the end of a point's names. */
static const char *
names_end(const Point *point)
{
	const char *name = tag_of(point) + point->tag_length;

	for (uint32_t i = 0; i < point->count; i++)
		name += sizeof(uint16_t) + name_length(name);
	return name;
}

bool
point_merge(PointMerge *merge, const PointWriter *writer, int64_t time_ns, const char *tag,
			size_t tag_length, const PointName *names, double *values, uint32_t *count,
			Stage *stage)
{
	uint64_t tag_hash = field_places_hash(tag, tag_length);
	uint64_t hash = hash_point(tag_hash, time_ns);
	Shard *shard = &merge->shards[hash % SHARDS];
	FieldsPlaced placed = FIELDS_PLACED;
	const Point *before;
	Point *point;
	char *end;

	pthread_mutex_lock(&shard->lock);
	point = next_place(shard);
	*point = (Point){.hash = hash, .time_ns = time_ns, .writer = writer->number, .count = *count};
	point->tag_length = (uint32_t) tag_length;
	memcpy(point->values, values, *count * sizeof(double));
	memcpy(tag_of(point), tag, tag_length);
	end = tag_of(point) + tag_length;
	for (uint32_t i = 0; i < *count; i++)
		end = put_name(end, names[i]);
	end_point(point, end);

	before = find(shard, hash, time_ns, tag, tag_length);
	if (before != NULL)
	{
		Point *all = (Point *) ((char *) point + point->bytes);

		if (!unite(all, before, point))
		{
			pthread_mutex_unlock(&shard->lock);
			return false;
		}
		if (before->writer != point->writer)
			atomic_fetch_add(&merge->crossings, 1);
		*count = all->count;
		memcpy(values, all->values, *count * sizeof(double));
		memmove(point, all, all->bytes);
		end = (char *) names_end(point);
	}
	if (merge->places != NULL)
	{
		NamedPoint all = named(point, tag_hash, end);

		placed = field_places_put(merge->places, &all, values, count);
		if (placed == FIELDS_WAIT)
			field_places_wait(stage, &all);
	}
	if (placed != FIELDS_TOO_MANY)
	{
		*find_slot(shard->current, hash, time_ns, tag, tag_length) =
			(uint32_t) ((char *) point - shard->current->data) + 1;
		shard->current->used += point->bytes;
	}
	pthread_mutex_unlock(&shard->lock);
	return placed != FIELDS_TOO_MANY;
}

/*
 * Replaces each message of the stage by the point that is remembered for it by now; but not by one
 * whose places are not known.  Its other fields came with a request that waits for their places,
 * which appends the whole point after that.
 */
static void
look_up_again(PointMerge *merge, Stage *stage)
{
	const StagedMessage *message = (const StagedMessage *) stage->data;
	Stage fresh = {0};

	for (uint32_t i = 0; i < stage->count; i++)
	{
		const char *tag = staged_tag(message);
		uint64_t tag_hash = field_places_hash(tag, message->tag_length);
		uint64_t hash = hash_point(tag_hash, message->time_ns);
		Shard *shard = &merge->shards[hash % SHARDS];
		double *values = stage_reserve(&fresh, MESSAGE_MAX_VALUES)->values;
		uint32_t count = message->value_count;
		FieldsPlaced placed = FIELDS_WAIT;
		const Point *point;

		pthread_mutex_lock(&shard->lock);
		point = find(shard, hash, message->time_ns, tag, message->tag_length);
		if (point != NULL)
		{
			NamedPoint all = named(point, tag_hash, names_end(point));

			count = point->count;
			memcpy(values, point->values, count * sizeof(double));
			placed = merge->places == NULL ? FIELDS_PLACED
										   : field_places_put(merge->places, &all, values, &count);
		}
		pthread_mutex_unlock(&shard->lock);
		if (placed != FIELDS_PLACED)
		{
			count = message->value_count;
			memcpy(values, message->values, count * sizeof(double));
		}
		stage_add(&fresh, message->time_ns, count, tag, message->tag_length);
		message = staged_next(message);
	}
	stage_free(stage);
	*stage = fresh;
}

void
point_merge_append_begin(PointMerge *merge, const PointWriter *writer, Stage *stage)
{
	ASSERT(stage->waiting.length == 0);
	pthread_mutex_lock(&merge->append);
	if (atomic_load(&merge->crossings) != writer->crossings)
		look_up_again(merge, stage);
}

void
point_merge_append_end(PointMerge *merge, PointWriter *writer, bool all)
{
	if (all)
		writer->crossings = atomic_load(&merge->crossings);
	pthread_mutex_unlock(&merge->append);
}
