/*
 * options.h
 *	  Reads a command line: its options, and their numbers, durations and times.
 *
 * If a text is wrong, each function ends the process with a message that names the option.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <getopt.h>
#include <stdint.h>

/*
 * Reads the next option of a command line that has only long options.  Returns its val, or -1 at
 * the end; sets optarg to its text and *name to its name.  For --help, prints the usage and ends
 * the process.
 */
extern int option_next(int argc, char **argv, const struct option *options, const char *usage,
					   const char **name);
/* Ends the process with what is wrong with the options as a whole, unless that is NULL. */
extern void options_check(const char *problem);

extern uint64_t option_number(const char *option, const char *text, uint64_t min, uint64_t max);
/* Reads seconds, or a number with s, m, h or d: 90, 90s, 10m, 24h, 30d. */
extern uint64_t option_seconds(const char *option, const char *text);
/* Reads nanoseconds since the epoch, "now", or a duration before now such as -24h. */
extern int64_t option_time(const char *option, const char *text);
/* Reads one of the words of a list that ends with NULL; returns its place. */
extern int option_word(const char *option, const char *text, const char *const *words);

extern int64_t now_ns(void);

#endif
