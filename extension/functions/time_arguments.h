/*
 * time_arguments.h
 *	  Arguments of SQL functions that are times, lengths of time, or windows.
 *
 * A function is declared once for each type of a time: bigint (nanoseconds since the Unix epoch),
 * timestamptz, and text, which is what literals and parameters without a type are taken for.  Text
 * is an integer, in nanoseconds, or what timestamptz takes, where nine digits of a second count.  A length of time is a bigint
 * (nanoseconds), an interval, or text of either form.  The declared types decide how an argument is
 * read.
 */
#ifndef HISTORIAN_TIME_ARGUMENTS_H
#define HISTORIAN_TIME_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"

#include "read/window.h"

/*
 * Returns the window from argument first to the next one.  The argument after these is an integer,
 * the number of samples; an interval, the length of a period; or text of either form.
 */
extern Window time_argument_window(FunctionCallInfo fcinfo, int first);

/* The same, with a bigint, the length of a period, as argument step. */
extern Window time_argument_window_by_step(FunctionCallInfo fcinfo, int first, int step);

/*
 * Finds the first and the last time of a range from argument first to the next one, which does not
 * belong to it.  Returns false if the range has no time.  may_be_empty: it is no error if both
 * arguments are equal.
 */
extern bool time_argument_range(FunctionCallInfo fcinfo, int first, bool may_be_empty, int64 *from,
								int64 *until);

/*
 * Finds the last time before an argument, which may also be an interval: so long before now.
 * Returns false if there is none.
 */
extern bool time_argument_last_before(FunctionCallInfo fcinfo, int argument, int64 *time);

/* Returns an argument in nanoseconds, or raises an error if it is out of their range. */
extern int64 time_argument_time(FunctionCallInfo fcinfo, int argument);

/* Returns a length of time in nanoseconds, which is greater than zero.  Days have 24 hours. */
extern int64 time_argument_length(FunctionCallInfo fcinfo, int argument, const char *name);

#endif							/* HISTORIAN_TIME_ARGUMENTS_H */
