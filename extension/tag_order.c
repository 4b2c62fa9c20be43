/*
 * tag_order.c
 *	  Sorts many tags.
 *
 * The tags of a plant have long common beginnings (site/area/unit/sensor), so that each comparison
 * of two tags reads tens of bytes, which are often not in the processor's caches.  This sort reads
 * eight bytes of each tag at a time, as one number beside the pointer to the tag.  It sorts by
 * these, and then each group of tags with equal numbers by the eight bytes after them.
 */
#include "postgres.h"

#include "tag_order.h"

#include "port/pg_bswap.h"

#include "tag.h"

#define KEY_BYTES sizeof(uint64)

static bool is_in_order(const TagOrderItem *items, uint32 n);
static void sort_from(TagOrderItem *items, uint32 n, uint32 depth);
static uint64 key_at(const TagOrderItem *item, uint32 depth);

#define ST_SORT sort_by_key
#define ST_ELEMENT_TYPE TagOrderItem
#define ST_COMPARE(a, b) ((a)->key < (b)->key ? -1 : (a)->key > (b)->key)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
tag_order(TagOrderItem *items, uint32 n)
{
	if (!is_in_order(items, n))
		sort_from(items, n, 0);
}

static bool
is_in_order(const TagOrderItem *items, uint32 n)
{
	for (uint32 i = 1; i < n; i++)
	{
		if (tag_compare_bytes(items[i - 1].bytes, items[i - 1].length,
							  items[i].bytes, items[i].length) > 0)
			return false;
	}
	return true;
}

/* Sorts tags that have the first depth bytes in common. */
static void
sort_from(TagOrderItem *items, uint32 n, uint32 depth)
{
	for (uint32 i = 0; i < n; i++)
		items[i].key = key_at(&items[i], depth);
	sort_by_key(items, n);
	for (uint32 first = 0, end; first < n; first = end)
	{
		end = first + 1;
		while (end < n && items[end].key == items[first].key)
			end++;
		/* distinct tags do not end within equal bytes, so this goes no deeper than the longest */
		if (end - first > 1)
			sort_from(items + first, end - first, depth + KEY_BYTES);
	}
}

/* Bytes of a tag as a number whose order is theirs; a tag that ends has zeros, which none contains. */
static uint64
key_at(const TagOrderItem *item, uint32 depth)
{
	uint64		key = 0;

	if (item->length >= depth + KEY_BYTES)
		memcpy(&key, item->bytes + depth, KEY_BYTES);
	else if (item->length > depth)
		memcpy(&key, item->bytes + depth, item->length - depth);
	return pg_ntoh64(key);
}
