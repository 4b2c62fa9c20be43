/*
 * tag_order.h
 *	  Sorts many tags.
 */
#ifndef HISTORIAN_TAG_ORDER_H
#define HISTORIAN_TAG_ORDER_H

#include "postgres.h"

/* A tag, which has no NUL, and what belongs to it. */
typedef struct TagOrderItem
{
	uint64		key;			/* of the sort */
	const char *bytes;
	uint32		length;
	void	   *owner;			/* the caller's */
} TagOrderItem;

/* Sorts distinct tags by their bytes.  Takes linear time if they are in order already. */
extern void tag_order(TagOrderItem *items, uint32 n);

#endif							/* HISTORIAN_TAG_ORDER_H */
