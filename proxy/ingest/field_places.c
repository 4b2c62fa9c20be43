/*
 * field_places.c
 *	  The places that the fields of each series of line protocol have in its rows.
 *
 * Series are found by 64 bits of a hash of the tag, in open hash tables, each under a lock of its
 * own.  Two series with the same bits would share their places; with a million series that is one
 * chance in thirty million.  Lists of fields are never changed nor freed, so that they are used
 * without a lock, and equal ones are one.  The usual point has all fields of its series, whose places
 * are in the order of their names: one comparison of memory finds that nothing is to be moved.
 *
 * Locks are taken in the order shard, lists or questions.
 */
#include "ingest/field_places.h"

#include "base/log.h"
#include "base/utf8.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS			64
#define FIRST_SLOTS		64			/* of a shard; a power of two */
#define MAX_SLOTS		(32 * 1024) /* of a shard: 48 MiB in all, for a million series */
#define MAX_LIST_BYTES	((size_t) 64 << 20)
#define LIST_BUCKETS	16384
#define MAX_ASKED_BYTES ((size_t) 262144) /* of what is told at a time */
#define MAX_NAME_BYTES	256				  /* of historian.tag */
#define SEPARATOR		'\1'

typedef struct SortedField
{
	uint32_t offset; /* of its length and name in packed */
	uint16_t place;
} SortedField;

/* The fields of series, by place. */
typedef struct FieldList
{
	struct FieldList *next; /* in its bucket */
	uint64_t hash;
	uint32_t count;
	uint32_t packed_length;
	bool ascending; /* the places are in the order of the names */
	SortedField *sorted;
	char packed[]; /* the names, each after its length of two bytes */
} FieldList;

typedef struct Series
{
	uint64_t key;			 /* 0: the slot is free */
	const FieldList *fields; /* NULL: not known */
	uint32_t round;			 /* of questions, in which it was asked about last */
	uint32_t count;			 /* how many fields the point had then */
} Series;

typedef struct Shard
{
	pthread_mutex_t lock;
	Series *slots;
	size_t slot_count;
	size_t used;
} Shard;

struct FieldPlaces
{
	atomic_bool refused; /* PostgreSQL does not keep places: points do not wait for them */
	atomic_bool full;	 /* no more series are kept */
	Shard shards[SHARDS];

	pthread_mutex_t list_lock;
	size_t list_bytes;
	FieldList *buckets[LIST_BUCKETS];

	pthread_mutex_t question_lock;
	Bytes questions;		/* the array without its end */
	_Atomic uint32_t round; /* of the questions; those of the round before may be under way */
	atomic_bool taken;
	_Atomic uint32_t answers;
	_Atomic uint32_t age;
};

/* Where the fields of a point go. */
typedef struct Placement
{
	uint16_t place[MESSAGE_MAX_VALUES];
	uint32_t unknown; /* how many have no place yet */
	bool keepable;	  /* historian.tag takes the names of these */
} Placement;

/* Stands before the names of a point that waits, in Stage.waiting. */
typedef struct WaitingHead
{
	uint32_t number; /* of the message in the stage */
	uint32_t packed_length;
} WaitingHead;

FieldPlaces *
field_places_new(void)
{
	FieldPlaces *places = memory_new(sizeof(FieldPlaces));

	for (int i = 0; i < SHARDS; i++)
	{
		Shard *shard = &places->shards[i];

		pthread_mutex_init(&shard->lock, NULL);
		shard->slot_count = FIRST_SLOTS;
		shard->slots = memory_new(FIRST_SLOTS * sizeof(Series));
	}
	pthread_mutex_init(&places->list_lock, NULL);
	pthread_mutex_init(&places->question_lock, NULL);
	places->round = 2;
	return places;
}

/* Works like FNV-1a, but on eight bytes at a time, and mixes the bits at the end. */
uint64_t
field_places_hash(const char *tag, size_t length)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	uint64_t word;

	for (; length >= 8; tag += 8, length -= 8)
	{
		memcpy(&word, tag, 8);
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	word = length;
	memcpy(&word, tag, length);
	hash = (hash ^ word ^ (uint64_t) length << 56) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static uint16_t
name_length(const char *name)
{
	uint16_t length;

	memcpy(&length, name, sizeof(length));
	return length;
}

static const char *
next_name(const char *name)
{
	return name + sizeof(uint16_t) + name_length(name);
}

static int
compare_names(const char *a, const char *b)
{
	size_t a_length = name_length(a);
	size_t b_length = name_length(b);
	int order = memcmp(a + sizeof(uint16_t), b + sizeof(uint16_t),
					   a_length < b_length ? a_length : b_length);

	return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/*
 * Series
 */

static Shard *
shard_of(FieldPlaces *places, uint64_t hash)
{
	return &places->shards[hash >> 58];
}

/* Returns the slot of the series, or the free one where it would be. */
static Series *
find_locked(const Shard *shard, uint64_t hash)
{
	uint64_t key = hash | 1;
	size_t i = (hash >> 8) & (shard->slot_count - 1);

	while (shard->slots[i].key != 0 && shard->slots[i].key != key)
		i = (i + 1) & (shard->slot_count - 1);
	return &shard->slots[i];
}

static void
grow_locked(Shard *shard)
{
	Series *old = shard->slots;
	size_t count = shard->slot_count;

	shard->slot_count *= 2;
	shard->slots = memory_new(shard->slot_count * sizeof(Series));
	for (size_t i = 0; i < count; i++)
	{
		if (old[i].key != 0)
			*find_locked(shard, old[i].key) = old[i];
	}
	free(old);
}

static void
note_full(FieldPlaces *places)
{
	if (!atomic_exchange(&places->full, true))
		log_warning("POST /write: there are more series than are remembered; the fields of others "
					"are stored in the order of their names");
}

/* Returns the slot of the series, which is made if it is new; NULL if there are too many. */
static Series *
find_or_add_locked(FieldPlaces *places, Shard *shard, uint64_t hash)
{
	Series *series = find_locked(shard, hash);

	if (series->key != 0)
		return series;
	if ((shard->used + 1) * 2 > shard->slot_count)
	{
		if (shard->slot_count >= MAX_SLOTS)
		{
			note_full(places);
			return NULL;
		}
		grow_locked(shard);
		series = find_locked(shard, hash);
	}
	shard->used++;
	series->key = hash | 1;
	return series;
}

/*
 * Lists of fields
 */

static int
compare_sorted(const void *a, const void *b, void *packed)
{
	const SortedField *x = a;
	const SortedField *y = b;
	int order = compare_names((const char *) packed + x->offset, (const char *) packed + y->offset);

	return order != 0 ? order : x->place - y->place;
}

static FieldList *
new_list(const char *packed, uint32_t packed_length, uint32_t count, uint64_t hash)
{
	FieldList *list = memory_new_raw(sizeof(FieldList) + packed_length);
	const char *name = list->packed;

	*list = (FieldList){.hash = hash, .count = count, .packed_length = packed_length};
	list->sorted = memory_new_raw((count + 1) * sizeof(SortedField));
	memcpy(list->packed, packed, packed_length);
	for (uint32_t i = 0; i < count; i++, name = next_name(name))
		list->sorted[i] = (SortedField){(uint32_t) (name - list->packed), (uint16_t) i};
	qsort_r(list->sorted, count, sizeof(SortedField), compare_sorted, list->packed);
	list->ascending = true;
	for (uint32_t i = 0; i < count; i++)
		list->ascending &= list->sorted[i].place == i;
	return list;
}

/* Returns the list of these fields, the only one of its kind; NULL if there are too many lists. */
static const FieldList *
find_list(FieldPlaces *places, const char *packed, uint32_t packed_length, uint32_t count)
{
	uint64_t hash = field_places_hash(packed, packed_length);
	FieldList **bucket = &places->buckets[hash % LIST_BUCKETS];
	FieldList *list;
	size_t bytes = sizeof(FieldList) + packed_length + count * sizeof(SortedField);

	pthread_mutex_lock(&places->list_lock);
	for (list = *bucket; list != NULL; list = list->next)
	{
		if (list->hash == hash && list->packed_length == packed_length &&
			memcmp(list->packed, packed, packed_length) == 0)
			break;
	}
	if (list == NULL && places->list_bytes + bytes <= MAX_LIST_BYTES)
	{
		list = new_list(packed, packed_length, count, hash);
		list->next = *bucket;
		*bucket = list;
		places->list_bytes += bytes;
	}
	pthread_mutex_unlock(&places->list_lock);
	if (list == NULL)
		note_full(places);
	return list;
}

/*
 * Questions
 */

static bool
is_keepable(const char *name)
{
	uint16_t length = name_length(name);

	name += sizeof(length);
	return length <= MAX_NAME_BYTES && utf8_valid(name, length) && !utf8_has_control(name, length);
}

/* Asks about the fields of a point, unless a question that has as many is under way already. */
static void
ask(FieldPlaces *places, const NamedPoint *point, uint32_t count)
{
	Shard *shard = shard_of(places, point->hash);
	Bytes *questions = &places->questions;
	Series *series;
	uint32_t round;

	pthread_mutex_lock(&shard->lock);
	pthread_mutex_lock(&places->question_lock);
	round = places->round;
	series = find_or_add_locked(places, shard, point->hash);
	if (series != NULL && questions->length <= MAX_ASKED_BYTES &&
		!(series->count >= count &&
		  (series->round == round || (series->round == round - 1 && places->taken))))
	{
		const char *name = point->packed;

		series->round = round;
		series->count = count;
		bytes_puts(questions, questions->length == 0 ? "[{\"tag\":" : ",{\"tag\":");
		bytes_json_string(questions, point->tag, point->tag_length);
		bytes_puts(questions, ",\"names\":[");
		for (uint32_t i = 0; i < count; i++, name = next_name(name))
		{
			bytes_puts(questions, i == 0 ? "" : ",");
			bytes_json_string(questions, name + sizeof(uint16_t), name_length(name));
		}
		bytes_puts(questions, "]}");
	}
	pthread_mutex_unlock(&places->question_lock);
	pthread_mutex_unlock(&shard->lock);
}

bool
field_places_take(FieldPlaces *places, Bytes *json)
{
	bool some;

	pthread_mutex_lock(&places->question_lock);
	some = !places->taken && places->questions.length > 0;
	if (some)
	{
		*json = places->questions;
		places->questions = (Bytes){0};
		bytes_puts(json, "]");
		places->round++;
		places->taken = true;
	}
	pthread_mutex_unlock(&places->question_lock);
	return some;
}

void
field_places_learned(FieldPlaces *places, uint32_t age, const char *tag, const char *fields)
{
	uint64_t hash = field_places_hash(tag, strlen(tag));
	Shard *shard = shard_of(places, hash);
	Bytes packed = {0};
	uint32_t count = 0;
	const FieldList *list;
	const char *end;

	for (const char *name = fields; *fields != '\0'; name = end + 1)
	{
		uint16_t length;

		end = strchrnul(name, SEPARATOR);
		length = (uint16_t) (end - name);
		bytes_append(&packed, &length, sizeof(length));
		bytes_append(&packed, name, length);
		if (++count == MESSAGE_MAX_VALUES || *end == '\0')
			break;
	}
	list = count == 0 ? NULL : find_list(places, packed.data, (uint32_t) packed.length, count);
	if (list != NULL)
	{
		Series *series;

		pthread_mutex_lock(&shard->lock);
		series = age == places->age ? find_or_add_locked(places, shard, hash) : NULL;
		/* Places only become more, and answers to two questions may come in either order. */
		if (series != NULL && (series->fields == NULL || series->fields->count < count))
			series->fields = list;
		pthread_mutex_unlock(&shard->lock);
	}
	bytes_free(&packed);
}

void
field_places_told(FieldPlaces *places, bool refused)
{
	atomic_store(&places->refused, refused);
	pthread_mutex_lock(&places->question_lock);
	places->taken = false;
	pthread_mutex_unlock(&places->question_lock);
	atomic_fetch_add(&places->answers, 1);
}

void
field_places_refused(FieldPlaces *places)
{
	atomic_store(&places->refused, true);
	atomic_fetch_add(&places->answers, 1);
}

void
field_places_forget(FieldPlaces *places)
{
	/* first, so that an answer to what was asked before is not learned after a series is forgotten */
	atomic_fetch_add(&places->age, 1);
	for (int i = 0; i < SHARDS; i++)
	{
		Shard *shard = &places->shards[i];

		pthread_mutex_lock(&shard->lock);
		memset(shard->slots, 0, shard->slot_count * sizeof(Series));
		shard->used = 0;
		pthread_mutex_unlock(&shard->lock);
	}
	/* lists stay: other threads use them without a lock, and most series will have them again */
	atomic_store(&places->full, false);
}

uint32_t
field_places_age(const FieldPlaces *places)
{
	return atomic_load(&places->age);
}

uint32_t
field_places_answers(const FieldPlaces *places)
{
	return atomic_load(&places->answers);
}

/*
 * Points
 */

/*
 * Finds the places of a point's fields; those that have none come after the others.  Both the point's
 * fields and the list's are gone through in the order of their names.
 */
static void
find_places(const FieldList *list, const char *packed, uint32_t count, Placement *placement)
{
	uint32_t known = list != NULL ? list->count : 0;
	const char *name = packed;
	uint32_t at = 0;

	placement->unknown = 0;
	placement->keepable = true;
	for (uint32_t i = 0; i < count; i++, name = next_name(name))
	{
		int order = -1;

		while (at < known &&
			   (order = compare_names(name, list->packed + list->sorted[at].offset)) > 0)
			at++;
		if (at < known && order == 0)
			placement->place[i] = list->sorted[at].place;
		else
		{
			placement->place[i] = (uint16_t) (known + placement->unknown++);
			placement->keepable &= is_keepable(name);
		}
		if (known + placement->unknown > MESSAGE_MAX_VALUES)
			return;
	}
}

/* Moves values to their places, if the row fits. */
static bool
move(const Placement *placement, size_t tag_length, double *values, uint32_t *count)
{
	double given[MESSAGE_MAX_VALUES];
	uint32_t row_count = 0;

	for (uint32_t i = 0; i < *count; i++)
	{
		if (placement->place[i] >= row_count)
			row_count = placement->place[i] + 1u;
	}
	if (!stage_fits(row_count, row_count > *count, tag_length))
		return false;
	memcpy(given, values, *count * sizeof(double));
	for (uint32_t i = 0; i < row_count && row_count > *count; i++)
		value_set_null(&values[i]);
	for (uint32_t i = 0; i < *count; i++)
		values[placement->place[i]] = given[i];
	*count = row_count;
	return true;
}

static FieldsPlaced __attribute__((noinline))
put_one_by_one(FieldPlaces *places, const FieldList *list, const NamedPoint *point, double *values,
			   uint32_t *count)
{
	Placement placement;

	find_places(list, point->packed, *count, &placement);
	if ((list != NULL ? list->count : 0) + placement.unknown > MESSAGE_MAX_VALUES)
		return FIELDS_TOO_MANY;
	if (placement.unknown > 0 && placement.keepable && !places->full)
	{
		if (!places->refused)
			return FIELDS_WAIT;
		ask(places, point, *count);
	}
	return move(&placement, point->tag_length, values, count) ? FIELDS_PLACED : FIELDS_TOO_MANY;
}

FieldsPlaced
field_places_put(FieldPlaces *places, const NamedPoint *point, double *values, uint32_t *count)
{
	Shard *shard = shard_of(places, point->hash);
	const FieldList *list;

	pthread_mutex_lock(&shard->lock);
	list = find_locked(shard, point->hash)->fields;
	pthread_mutex_unlock(&shard->lock);
	if (list != NULL && list->ascending && list->count == *count &&
		list->packed_length == point->packed_length &&
		memcmp(list->packed, point->packed, point->packed_length) == 0)
		return FIELDS_PLACED;
	return put_one_by_one(places, list, point, values, count);
}

void
field_places_wait(Stage *stage, const NamedPoint *point)
{
	WaitingHead head = {stage->count, (uint32_t) point->packed_length};

	bytes_append(&stage->waiting, &head, sizeof(head));
	bytes_append(&stage->waiting, point->packed, point->packed_length);
}

bool
field_places_stage(FieldPlaces *places, Stage *stage, Bytes *dropped)
{
	const StagedMessage *message = (const StagedMessage *) stage->data;
	const char *waiting = stage->waiting.data;
	const char *end = waiting + stage->waiting.length;
	Stage fresh = {0};

	if (stage->waiting.length == 0)
		return true;
	for (uint32_t i = 0; i < stage->count; i++, message = staged_next(message))
	{
		FieldsPlaced placed = FIELDS_PLACED;
		double *values = stage_reserve(&fresh, MESSAGE_MAX_VALUES)->values;
		uint32_t count = message->value_count;
		NamedPoint point = {.tag = staged_tag(message), .tag_length = message->tag_length};
		WaitingHead head = {UINT32_MAX, 0};

		memcpy(values, message->values, count * sizeof(double));
		if (waiting < end)
			memcpy(&head, waiting, sizeof(head));
		if (head.number == i)
		{
			point.hash = field_places_hash(point.tag, point.tag_length);
			point.packed = waiting + sizeof(head);
			point.packed_length = head.packed_length;
			placed = field_places_put(places, &point, values, &count);
			waiting = point.packed + point.packed_length;
		}
		if (placed == FIELDS_WAIT)
		{
			ask(places, &point, count);
			field_places_wait(&fresh, &point);
		}
		if (placed == FIELDS_TOO_MANY)
			bytes_append(dropped, &i, sizeof(i));
		else
			stage_add(&fresh, message->time_ns, count, point.tag, point.tag_length);
	}
	stage_free(stage);
	*stage = fresh;
	return stage->waiting.length == 0;
}
