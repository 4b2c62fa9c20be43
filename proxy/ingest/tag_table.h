/*
 * tag_table.h
 *	  The names of tags, each once, for all batches that have rows of them.
 *
 * Most messages are of tags that were seen before, so batches share a table.  Tags are numbered from
 * 0 in the order in which they were added.  One thread adds at a time, under the caller's lock.
 * Other threads meanwhile read the names of those tags that were added before they got the batch,
 * because names and their places never move.  A table lives as long as the last reference to it.
 */
#ifndef HISTORIAND_TAG_TABLE_H
#define HISTORIAND_TAG_TABLE_H

#include "base/budget.h"
#include "ingest/tag_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TagTable TagTable;

/* The table's memory is counted in the budget, unless that is NULL.  The caller has a reference. */
extern TagTable *tag_table_new(Budget *budget);
extern TagTable *tag_table_reference(TagTable *table);
extern void tag_table_release(TagTable *table);

/* A name is padded with zeros to 8 bytes here, and its hash is that of tag_name_hash(). */
extern const TagName *tag_table_find(const TagTable *table, const char *name, uint32_t length,
									 uint64_t hash);
/* Returns the tag, which is added if it is not there, and notes that it is used. */
extern const TagName *tag_table_add(TagTable *table, const char *name, uint32_t length,
									uint64_t hash);
/* Fetch what tag_table_add() will read: first the one, later the other. */
extern void tag_table_prefetch(const TagTable *table, uint64_t hash);
extern void tag_table_prefetch_name(const TagTable *table, uint64_t hash);

/* Fetches the place of a name that tag_table_name() will read. */
extern void tag_table_prefetch_place(const TagTable *table, uint32_t number);
extern const TagName *tag_table_name(const TagTable *table, uint32_t number);
extern uint32_t tag_table_count(const TagTable *table);

/*
 * The numbers below count, and maybe others, in the order of the names, byte by byte; sets *sorted
 * to how many they are.  New ones are sorted in.  One thread may call this while another one adds.
 */
extern const uint32_t *tag_table_order(TagTable *table, uint32_t count, uint32_t *sorted);
/* How many of those tag_table_order() would have to sort; in the thread that calls that. */
extern uint32_t tag_table_unordered(const TagTable *table, uint32_t count);
extern size_t tag_table_bytes(const TagTable *table);

/*
 * Counts so many messages.  After some messages for each tag a period ends; returns true if most
 * of the tags were not used in it, so that a new table would be smaller.
 */
extern bool tag_table_is_stale(TagTable *table, uint64_t messages);

#endif /* HISTORIAND_TAG_TABLE_H */
