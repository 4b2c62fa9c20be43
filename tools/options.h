/*
 * options.h
 *	  Reading a command line: its options, and the numbers, durations and times of them.
 *
 * All end the process with a message that names the option when the text is not right.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <getopt.h>
#include <stdint.h>

/*
 * Reads the next option of a command line that has nothing but long ones: returns its val, -1 at
 * the end, with the text in optarg and its name in *name.  Prints the usage for --help.
 */
extern int option_next(int argc, char **argv, const struct option *options, const char *usage,
					   const char **name);
/* Ends the process with what is wrong with the options as a whole, unless that is NULL. */
extern void options_check(const char *problem);

extern uint64_t option_number(const char *option, const char *text, uint64_t min, uint64_t max);
/* Seconds, or a number with s, m, h or d: 90, 90s, 10m, 24h, 30d. */
extern uint64_t option_seconds(const char *option, const char *text);
/* Nanoseconds since the epoch, "now", or a duration before now: -24h. */
extern int64_t option_time(const char *option, const char *text);
/* One of the words of a list that ends in NULL; returns its place. */
extern int option_word(const char *option, const char *text, const char *const *words);

extern int64_t now_ns(void);

#endif
