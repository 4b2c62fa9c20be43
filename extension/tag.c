/*
 * tag.c
 *	  Compares tags by their bytes, which is their order in the directory (collation "C").
 */
#include "postgres.h"

#include "tag.h"

#include "catalog/pg_type.h"

static int	compare_tags(const void *left, const void *right);

text **
tag_sort_distinct(ArrayType *array, uint32 *ntags)
{
	Datum	   *elements;
	bool	   *nulls;
	int			nelements;
	text	  **tags;
	uint32		n = 0;
	uint32		unique = 0;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &nelements);
	tags = palloc_array(text *, Max(nelements, 1));
	for (int i = 0; i < nelements; i++)
	{
		if (!nulls[i])
			tags[n++] = DatumGetTextPP(elements[i]);
	}
	qsort(tags, n, sizeof(text *), compare_tags);
	for (uint32 i = 0; i < n; i++)
	{
		if (unique == 0 || tag_compare(tags[unique - 1], tags[i]) != 0)
			tags[unique++] = tags[i];
	}
	*ntags = unique;
	return tags;
}

static int
compare_tags(const void *left, const void *right)
{
	return tag_compare(*(text *const *) left, *(text *const *) right);
}

bool
tag_has_prefix(const text *tag, const text *prefix)
{
	Size		bytes = VARSIZE_ANY_EXHDR(prefix);

	return VARSIZE_ANY_EXHDR(tag) >= bytes && memcmp(VARDATA_ANY(tag), VARDATA_ANY(prefix), bytes) == 0;
}
