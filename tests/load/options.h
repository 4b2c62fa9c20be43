/*
 * options.h
 *	  Reading the numbers, durations and times of a command line.
 *
 * All end the process with a message that names the option when the text is not right.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>

extern uint64_t option_number(const char *option, const char *text, uint64_t min, uint64_t max);
/* Seconds, or a number with s, m, h or d: 90, 90s, 10m, 24h, 30d. */
extern uint64_t option_seconds(const char *option, const char *text);
/* Nanoseconds since the epoch, "now", or a duration before now: -24h. */
extern int64_t option_time(const char *option, const char *text);
/* One of the words of a list that ends in NULL; returns its place. */
extern int option_word(const char *option, const char *text, const char *const *words);

extern int64_t now_ns(void);

#endif
