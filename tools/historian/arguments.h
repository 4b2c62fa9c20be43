/*
 * arguments.h
 *	  Reads the command line of a command, with the options that all commands have.
 *
 * If something is wrong, the functions end the process with exit code 2 and a message.
 */
#ifndef HISTORIAN_ARGUMENTS_H
#define HISTORIAN_ARGUMENTS_H

#include <getopt.h>
#include <stdint.h>

#include "base/timestamp.h"

typedef struct Arguments
{
	const char *dbname; /* these four: NULL where libpq decides */
	const char *host;
	const char *port;
	const char *username;
	const char *table;
} Arguments;

/* The values of long options that all commands have; those of commands begin at ARGUMENT_OWN. */
enum
{
	ARGUMENT_HELP = 256,
	ARGUMENT_VERSION,
	ARGUMENT_OWN
};

/* To be put at the begin of a command's options. */
#define ARGUMENTS_COMMON                                                                           \
	{"dbname", required_argument, NULL, 'd'}, {"host", required_argument, NULL, 'h'},              \
		{"port", required_argument, NULL, 'p'}, {"username", required_argument, NULL, 'U'},        \
		{"table", required_argument, NULL, 't'}, {"help", no_argument, NULL, ARGUMENT_HELP},       \
	{                                                                                              \
		"version", no_argument, NULL, ARGUMENT_VERSION                                             \
	}
#define ARGUMENTS_COMMON_SHORT "d:h:p:U:t:"

/* The lines of --help about them. */
#define ARGUMENTS_COMMON_HELP                                                                      \
	"  -d, --dbname NAME    the database, or a conninfo string or URI as psql takes\n"             \
	"  -h, --host HOST      its server, or the directory of its socket\n"                          \
	"  -p, --port PORT      the server's port\n"                                                   \
	"  -U, --username NAME  the role\n"                                                            \
	"  -t, --table NAME     the table (measurement)\n"                                             \
	"  --help               this text; -h alone does the same\n"                                   \
	"  --version            the version\n"

extern void arguments_init(Arguments *arguments);

/*
 * Reads the next option.  Returns its val, or -1 at the end; sets optarg to its text and *name to
 * its name.  Options that all commands have go to arguments.  --help and --version end the process.
 */
extern int arguments_next(Arguments *arguments, int argc, char **argv, const char *short_options,
						  const struct option *options, const char *usage, const char **name);

/* Ends the process with what is wrong with the command line. */
extern void arguments_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Reads a time as the parameters start and end of HTTP have it; from_ns is what -15m counts from. */
extern int64_t arguments_time(const char *name, const char *text, const TimestampRules *rules,
							  int64_t from_ns);

#endif /* HISTORIAN_ARGUMENTS_H */
