/*
 * checker.h
 *	  Checks an answer of GET /api against the producer's workload.
 *
 * Sample i of n, counted from 1, has the time start + floor(i * (end - start) / n), and must have
 * the values of the tag's last message at or before that time.  Messages that are due less than
 * max_lag before the request was sent may not be visible yet.  So an older message is right too if
 * the last one is that young, but none that is older than the last message that must be visible.
 *
 * Before the tag's first message of the workload, the values are those that the table had before
 * the workload began.  checker_set_before() tells the checker which these are.  Samples of earlier
 * times are counted, but not checked.
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
	int64_t asked_ns; /* when the request was sent */
} Question;

typedef struct CheckerCounts
{
	uint64_t right;
	uint64_t wrong;
	uint64_t unchecked;
} CheckerCounts;

/* Makes a checker for the most frequent tags of the announced workload. */
extern Checker *checker_open(const Announcement *announcement, uint32_t tags, uint64_t max_lag_ms);
extern void checker_close(Checker *checker);

/* The announced workload, which has the names of the tags. */
extern const Workload *checker_workload(const Checker *checker);

/* Computes the workload up to that time.  Later times must not be checked before the next call. */
extern void checker_advance(Checker *checker, int64_t now_ns);

/*
 * before is an answer with one sample just before the workload's start; NULL: the tag was unknown.
 */
extern void checker_set_before(Checker *checker, uint32_t tag, const Answer *before);

/* Is the answer's only sample a message of the workload that is recent enough?  Counts nothing. */
extern bool checker_is_current(Checker *checker, const Question *question, const Answer *answer);
/* Counts the samples, and prints the first wrong ones to stderr.  Returns true if none is wrong. */
extern bool checker_check(Checker *checker, const Question *question, const Answer *answer);
/* May the server answer that the tag is unknown? */
extern bool checker_may_be_unknown(Checker *checker, const Question *question);

extern const CheckerCounts *checker_counts(const Checker *checker);
/*
 * The time of the workload's last message up to now, or of its last one if the producer has ended.
 */
extern int64_t checker_last_time(const Checker *checker, int64_t now_ns);

#endif
