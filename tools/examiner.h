/*
 * examiner.h
 *	  Checks answers in a thread of its own, of the lowest priority.
 *
 * To parse and check an answer takes several times as long as to serve it.  Done where the answers
 * arrive, it would be the next answer's latency.
 */
#ifndef EXAMINER_H
#define EXAMINER_H

#include <stddef.h>

#include "checker.h"

typedef struct Examiner Examiner;

typedef struct ExaminerCounts
{
	uint64_t wrong;	  /* samples */
	uint64_t refused; /* answers that were no JSON, or 404 of a tag that has values */
	uint64_t waits;	  /* of who brought answers, for the check of those before */
} ExaminerCounts;

/* The checker belongs to the examiner until that is ended. */
extern Examiner *examiner_start(Checker *checker);

/* The body of an answer with status 200, or NULL of one with 404; takes a copy. */
extern void examiner_add(Examiner *examiner, const Question *question, const char *body,
						 size_t body_bytes);

/* Of the answers that were checked so far.  The first refused ones are printed to stderr. */
extern ExaminerCounts examiner_counts(Examiner *examiner);

/* Waits until all are checked. */
extern ExaminerCounts examiner_end(Examiner *examiner);

#endif
