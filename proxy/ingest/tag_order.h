/*
 * tag_order.h
 *	  Numbers of tags in the order of the tags' names, byte by byte.
 */
#ifndef HISTORIAND_TAG_ORDER_H
#define HISTORIAND_TAG_ORDER_H

#include "ingest/tag_name.h"

/* The name of the tag that has a number in the caller's table. */
typedef const TagName *(*TagNameOf)(const void *table, uint32_t number);

/*
 * Numbers from 0 to count, of which the first ones are sorted already; the caller frees the array.  All
 * names are different.
 */
extern uint32_t *tag_order_extend(TagNameOf name_of, const void *table, const uint32_t *sorted,
								  uint32_t sorted_count, uint32_t count);

#endif /* HISTORIAND_TAG_ORDER_H */
