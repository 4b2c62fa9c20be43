/*
 * examiner.h
 *	  Checks answers in a thread of its own, which has the lowest priority.
 *
 * To parse and check an answer takes several times as long as to serve it.  If the thread that
 * receives answers did so, it would add to the latency of the next answer.
 */
#ifndef EXAMINER_H
#define EXAMINER_H

#include <stddef.h>

#include "checker.h"

typedef struct Examiner Examiner;

typedef struct ExaminerCounts
{
	uint64_t wrong;	  /* samples that were wrong */
	uint64_t refused; /* answers that were not JSON, or 404 for a tag that has values */
	uint64_t waits;	  /* how often examiner_add() waited, with too many answers unchecked */
} ExaminerCounts;

/* The checker belongs to the examiner until examiner_end(). */
extern Examiner *examiner_start(Checker *checker);

/* Adds a copy of the body of an answer with status 200; NULL: the status was 404. */
extern void examiner_add(Examiner *examiner, const Question *question, const char *body,
						 size_t body_bytes);

/*
 * Returns the counts of the answers that are checked.  The first refused ones are printed to
 * stderr.
 */
extern ExaminerCounts examiner_counts(Examiner *examiner);

/* Waits until all answers are checked, returns their counts and frees the examiner. */
extern ExaminerCounts examiner_end(Examiner *examiner);

#endif
