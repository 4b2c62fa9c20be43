/*
 * checker.h
 *	  Is an answer of GET /api what the producer's workload makes it to be?
 *
 * Sample i of n stands at start + floor(i * (end - start) / n) and must carry the tag's last
 * message at or before that time.  What was published less than max_lag before the request went
 * out may not be visible yet: where the true message is that young, an older one is right too,
 * but none older than the last one of more than max_lag before.
 *
 * Before the workload's first message of the tag stands what the table had before the workload's
 * start, which the checker is told (checker_set_before); samples further back than that are not
 * checked but counted.
 */
#ifndef CHECKER_H
#define CHECKER_H

#include <stdbool.h>
#include <stdint.h>

#include "announcement.h"
#include "answer.h"

typedef struct Checker Checker;

typedef struct Question
{
	uint32_t tag;
	int64_t start;
	int64_t end;
	uint32_t samples;
	int64_t asked_ns; /* when it was sent */
} Question;

typedef struct CheckerCounts
{
	uint64_t right;
	uint64_t wrong;
	uint64_t unchecked;
} CheckerCounts;

/* For the most frequent tags of what was announced. */
extern Checker *checker_open(const Announcement *announcement, uint32_t tags, uint64_t max_lag_ms);
extern void checker_close(Checker *checker);

/* Goes on computing the workload up to the time; the check must not ask about later ones. */
extern void checker_advance(Checker *checker, int64_t now_ns);

/* The answer about one sample just before the workload's start; NULL when the tag was unknown. */
extern void checker_set_before(Checker *checker, uint32_t tag, const Answer *before);

/* Is the answer's only sample a message of the workload, and young enough?  Counts nothing. */
extern bool checker_is_current(Checker *checker, const Question *question, const Answer *answer);
/* Counts the samples, and prints the first wrong ones to stderr; true when none is wrong. */
extern bool checker_check(Checker *checker, const Question *question, const Answer *answer);
/* May the server answer that it never had the tag? */
extern bool checker_may_be_unknown(Checker *checker, const Question *question);

extern const CheckerCounts *checker_counts(const Checker *checker);
/* The time of the workload's last message so far, or of all. */
extern int64_t checker_last_time(const Checker *checker, int64_t now_ns);

#endif
