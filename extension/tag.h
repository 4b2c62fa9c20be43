/*
 * tag.h
 *	  Compares tags by their bytes, which is their order in the directory (collation "C").
 */
#ifndef HISTORIAN_TAG_H
#define HISTORIAN_TAG_H

#include "postgres.h"

#include "utils/array.h"

#include "compat.h"

static inline int
tag_compare_bytes(const char *a, Size a_bytes, const char *b, Size b_bytes)
{
	int			order = memcmp(a, b, Min(a_bytes, b_bytes));

	if (order != 0)
		return order;
	return a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static inline int
tag_compare(const text *a, const text *b)
{
	return tag_compare_bytes(VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a), VARDATA_ANY(b),
							 VARSIZE_ANY_EXHDR(b));
}

/*
 * Returns the elements of a text[] in this order, without NULLs and each only once.  The result is
 * palloc'd; its pointers point into the array.
 */
extern text **tag_sort_distinct(ArrayType *array, uint32 *ntags);

/* Does the tag begin with the bytes of the prefix?  Neither is toasted. */
extern bool tag_has_prefix(const text *tag, const text *prefix);

#endif							/* HISTORIAN_TAG_H */
