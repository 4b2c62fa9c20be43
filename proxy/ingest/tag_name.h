/*
 * tag_name.h
 *	  The name of a tag as tables of tags keep it: its hash, and its place among others.
 *
 * Names have no zero bytes, as PostgreSQL's texts have none.  They are padded with zeros to words of
 * 8 bytes, so that words are compared and hashed rather than bytes.
 */
#ifndef HISTORIAND_TAG_NAME_H
#define HISTORIAND_TAG_NAME_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define TAG_NAME_WORD 8 /* bytes */

typedef struct TagName
{
	uint32_t number; /* in its table */
	uint32_t length; /* in bytes, without the padding */
	uint32_t period; /* in which it was used last */
	char text[];
} TagName;

/* Makes the key of the hash, which differs from process to process.  Only the first call does. */
extern void tag_name_make_key(void);
/* The name is padded. */
extern uint64_t tag_name_hash(const char *name, uint32_t length);

/* A word of the name whose order as a number is the order of its bytes; 0 after the name's end. */
static inline uint64_t
tag_name_word(const TagName *name, uint32_t at)
{
	uint64_t word;

	if (at >= name->length)
		return 0;
	memcpy(&word, name->text + at, TAG_NAME_WORD);
	return be64toh(word);
}

/* Compares byte by byte; returns less than, greater than or equal to 0. */
extern int tag_name_compare(const TagName *first, const TagName *second);
/* Sorts different names in that order, and takes 32 bytes for each of them meanwhile. */
extern void tag_name_sort(const TagName **names, uint32_t count);

#endif /* HISTORIAND_TAG_NAME_H */
