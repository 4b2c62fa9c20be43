/*
 * test_tag_table.c
 *	  The table of tags' names against an array of them and strcmp().  Prints TAP.
 *
 *	test_tag_table [seed]
 */
#include "ingest/tag_table.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LONGEST 120 /* bytes of a name */
#define MANY	150000

typedef struct Name
{
	char text[LONGEST + 8]; /* padded with zeros */
	uint32_t length;
	uint32_t number;
} Name;

static Name names[MANY];

/* Names that begin alike for some words, that end within each other, and that are short. */
static void
make_name(Name *name, uint32_t i)
{
	static const char *const starts[] = {
		"",
		"plant",
		"plant/area-7/line-3/machine-12/sensor-",
		"\xc3\xa4\xf0\x9f\x98\x80 ",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	};

	memset(name, 0, sizeof(*name));
	if (i % 7 == 6 && names[i - 1].length < LONGEST / 2)
		snprintf(name->text, LONGEST, "%.60s%x", names[i - 1].text, i); /* longer than another */
	else
		snprintf(name->text, LONGEST, "%s%x", starts[rand() % 5],
				 rand() % 4 == 0 ? i : i * 2654435761u);
	name->length = (uint32_t) strlen(name->text);
}

static uint64_t
hash_of(const Name *name)
{
	return tag_name_hash(name->text, name->length);
}

static bool
is_name(const TagName *found, const Name *name)
{
	return found != NULL && found->number == name->number && found->length == name->length &&
		   memcmp(found->text, name->text, name->length) == 0;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(names[*(const uint32_t *) a].text, names[*(const uint32_t *) b].text);
}

/* The table's order of its first names is that of strcmp(). */
static bool
is_ordered(TagTable *table, uint32_t count, const uint32_t *index_of)
{
	uint32_t sorted;
	const uint32_t *order = tag_table_order(table, count, &sorted);
	uint32_t *expected = malloc((count + 1) * sizeof(uint32_t));
	bool same = sorted == count;

	memcpy(expected, index_of, count * sizeof(uint32_t));
	qsort(expected, count, sizeof(uint32_t), by_text);
	for (uint32_t i = 0; same && i < count; i++)
		same = index_of[order[i]] == expected[i];
	free(expected);
	return same;
}

int
main(int argc, char **argv)
{
	unsigned seed = argc > 1 ? (unsigned) strtoul(argv[1], NULL, 10) : (unsigned) time(NULL);
	static uint32_t index_of[MANY]; /* by number */
	Budget budget = {.limit = SIZE_MAX};
	TagTable *table = tag_table_new(&budget);
	uint32_t lost = 0, wrong = 0, unordered = 0, strange = 0, orders = 0;

	printf("# seed %u\n", seed);
	srand(seed);
	for (uint32_t i = 0; i < MANY; i++)
	{
		Name *name = &names[i];
		const TagName *added;

		make_name(name, i);
		name->number = tag_table_count(table);
		if (tag_table_find(table, name->text, name->length, hash_of(name)) == NULL)
			index_of[name->number] = i;
		added = tag_table_add(table, name->text, name->length, hash_of(name));
		if (added->number < name->number)
			name->number = added->number; /* it was made before */
		wrong += !is_name(added, name);
		/* Those of before are found while buckets are moved, whether they are moved or not. */
		for (int tries = 0; tries < 3; tries++)
		{
			const Name *other = &names[(uint32_t) rand() % (i + 1)];

			if (tries == 0)
				lost += !is_name(tag_table_find(table, other->text, other->length, hash_of(other)),
								 other);
			else
				lost += !is_name(tag_table_add(table, other->text, other->length, hash_of(other)),
								 other);
		}
		if (i < 100 || i % 20011 == 0)
		{
			orders++;
			unordered += !is_ordered(table, tag_table_count(table), index_of);
		}
	}
	for (uint32_t i = 0; i < MANY; i++)
	{
		Name none = {.length = 9};

		snprintf(none.text, sizeof(none.text), "~%08x", i);
		strange += tag_table_find(table, none.text, none.length, hash_of(&none)) != NULL;
		lost += !is_name(tag_table_find(table, names[i].text, names[i].length, hash_of(&names[i])),
						 &names[i]);
	}
	ok(tag_table_count(table) > MANY / 2, "%u different names were added", tag_table_count(table));
	ok(wrong == 0, "each is the one that was given (%u are not)", wrong);
	ok(lost == 0, "each is found again at any time (%u were not)", lost);
	ok(strange == 0, "others are not found (%u were)", strange);
	unordered += !is_ordered(table, tag_table_count(table), index_of);
	ok(unordered == 0, "the order is that of the names' bytes, %u times", orders + 1);

	ok(budget_used(&budget) == tag_table_bytes(table),
	   "the budget has the table's memory, and no former buckets");
	tag_table_release(table);
	ok(budget_used(&budget) == 0, "and nothing when it is released");
	return done_testing();
}
