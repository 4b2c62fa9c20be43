/*
 * answer.h
 *	  Reads the JSON of an answer of GET /api.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_NULL (-1)

typedef struct Answer
{
	size_t samples;
	int64_t *times;
	int32_t *widths; /* how many values a sample has, ANSWER_NULL for null */
	double *values;	 /* sample i begins at i * max_width */
	size_t max_width;
} Answer;

/* Returns false if this is not such an answer.  The caller calls answer_free() in any case. */
extern bool answer_parse(Answer *answer, const char *json, size_t bytes);
extern void answer_free(Answer *answer);

#endif
