/*
 * row_text.h
 *	  Rows as text: CSV with one column a value, and NDJSON.
 */
#ifndef HISTORIAN_ROW_TEXT_H
#define HISTORIAN_ROW_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

/* How times are written. */
typedef struct TimeText
{
	int64_t unit_ns; /* of integers */
	bool rfc3339;
} TimeText;

/* Reads the word of an option: integer or rfc3339. */
extern void row_text_set_time(TimeText *form, const char *option, const char *word);

/* Appends a time that PostgreSQL has written as an integer, in quotes if asked for. */
extern void row_text_put_time(Bytes *out, const TimeText *form, const char *text, bool quotes);

/* Appends a cell of CSV, in quotes if it needs them. */
extern void row_text_put_cell(Bytes *out, const char *text, size_t length);

/*
 * Appends an array that PostgreSQL has written, such as {1,NULL,NaN}, as an array of JSON, which
 * has no NaN and no infinities: they become null.
 */
extern void row_text_put_array(Bytes *out, const char *text, size_t length);

/* Appends a row as an object of JSON, with a line feed. */
extern void row_text_put_object(Bytes *out, const TimeText *form, const char *time, const char *tag,
								size_t tag_length, const char *values, size_t values_length);

#endif /* HISTORIAN_ROW_TEXT_H */
