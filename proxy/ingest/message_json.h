/*
 * message_json.h
 *	  What message_scan.c leaves to json-c: strings with escapes, and where a refused value ends.
 */
#ifndef HISTORIAND_MESSAGE_JSON_H
#define HISTORIAND_MESSAGE_JSON_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Decodes a JSON string, given with its quotes, into at most capacity bytes.  Returns the length in
 * bytes,
 * -1 if it is not a valid string (bad escape, lone surrogate, not UTF-8), or -2 if it does not fit.
 */
extern int message_json_string(const char *quoted, size_t length, char *decoded, size_t capacity);

typedef enum JsonExtent
{
	JSON_COMPLETE,
	JSON_INCOMPLETE,
	JSON_INVALID,
} JsonExtent;

/* Finds how far the JSON value at text reaches: *extent bytes if it is complete. */
extern JsonExtent message_json_extent(const char *text, size_t length, size_t *extent);

#endif /* HISTORIAND_MESSAGE_JSON_H */
