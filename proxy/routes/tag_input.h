/*
 * tag_input.h
 *	  Checks the body of PUT /tags/{tag} before PostgreSQL gets it.
 */
#ifndef HISTORIAND_TAG_INPUT_H
#define HISTORIAND_TAG_INPUT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct TagInputError
{
	const char *field; /* the member that is to blame, or NULL */
	char detail[160];
} TagInputError;

/*
 * Is the text, which is UTF-8, a JSON object whose known members come once and have the types that
 * docs/http.md says?  If not, sets *error and returns false.  PostgreSQL finds what is wrong beside
 * that: an unknown member, or a value that cannot be kept.
 */
extern bool tag_input_check(const char *text, size_t length, TagInputError *error);

#endif /* HISTORIAND_TAG_INPUT_H */
