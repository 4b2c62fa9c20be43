/*
 * options.c
 *	  Reads a command line: its options, and their numbers, durations and times.
 */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SECONDS UINT64_C(3155760000) /* a century */

int
option_next(int argc, char **argv, const struct option *options, const char *usage,
			const char **name)
{
	int which;
	int option = getopt_long(argc, argv, "h", options, &which);

	if (option == '?')
	{
		/* getopt_long() has said what is wrong */
		fprintf(stderr, "%s: see --help\n", program_invocation_short_name);
		exit(2);
	}
	if (option == 'h')
	{
		fputs(usage, stdout);
		exit(0);
	}
	if (option == -1)
	{
		if (optind < argc)
			options_check("only options are allowed as arguments; see --help");
		return -1;
	}
	*name = options[which].name;
	if (strcmp(*name, "help") == 0)
	{
		fputs(usage, stdout);
		exit(0);
	}
	if (strcmp(*name, "version") == 0)
	{
		printf("%s %s\n", program_invocation_short_name, TOOLS_VERSION);
		exit(0);
	}
	return option;
}

void
options_check(const char *problem)
{
	if (problem == NULL)
		return;
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, problem);
	exit(2);
}

static void
fail(const char *option, const char *text, const char *expected)
{
	fprintf(stderr, "--%s %s: expected %s\n", option, text, expected);
	exit(2);
}

uint64_t
option_number(const char *option, const char *text, uint64_t min, uint64_t max)
{
	char expected[80];
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < min ||
		number > max)
	{
		snprintf(expected, sizeof(expected), "a number from %" PRIu64 " to %" PRIu64, min, max);
		fail(option, text, expected);
	}
	return number;
}

uint64_t
option_seconds(const char *option, const char *text)
{
	static const char expected[] = "a duration such as 90, 90s, 10m, 24h or 30d";
	char *end;
	unsigned long long number;
	uint64_t unit = 1;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno != 0)
		fail(option, text, expected);
	if (*end != '\0')
	{
		const char *units = "smhd";
		const uint64_t seconds[] = {1, 60, 3600, 86400};
		const char *at = strchr(units, *end);

		if (at == NULL || end[1] != '\0')
			fail(option, text, expected);
		unit = seconds[at - units];
	}
	if (number > MAX_SECONDS / unit)
		fail(option, text, expected);
	return number * unit;
}

int64_t
option_time(const char *option, const char *text)
{
	if (strcmp(text, "now") == 0)
		return now_ns();
	if (text[0] == '-')
		return now_ns() - (int64_t) option_seconds(option, text + 1) * 1000000000;
	return (int64_t) option_number(option, text, 0, INT64_MAX);
}

int
option_word(const char *option, const char *text, const char *const *words)
{
	char expected[80] = "";

	for (int i = 0; words[i] != NULL; i++)
	{
		if (strcmp(text, words[i]) == 0)
			return i;
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%s%s",
				 i > 0 ? " or " : "", words[i]);
	}
	fail(option, text, expected);
	return -1;
}

int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}
