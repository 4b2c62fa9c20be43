/*
 * examiner.h
 *	  Checks answers in a thread of its own, which has the processor when nobody else wants it.
 *
 * To parse and check an answer takes several times as long as to serve it.  Done where the answers
 * arrive, it would be the next answer's latency.
 */
#ifndef EXAMINER_H
#define EXAMINER_H

#include <stddef.h>

#include "checker.h"

typedef struct Examiner Examiner;

/* The checker belongs to the examiner until that is ended. */
extern Examiner *examiner_start(Checker *checker);

/* The body of an answer with status 200, or NULL of one with 404; takes a copy. */
extern void examiner_add(Examiner *examiner, const Question *question, const char *body,
						 size_t body_bytes);

/* How many samples were wrong, of the answers that were checked so far. */
extern uint64_t examiner_wrong(Examiner *examiner);

/* Waits until all are checked.  Returns how many were no JSON, or 404 of a tag that has values. */
extern uint64_t examiner_end(Examiner *examiner);

#endif
