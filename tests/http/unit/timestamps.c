/*
 * timestamps.c
 *	  Prints what proxy/base/timestamp makes of times, for test_timestamp.py to compare.
 *
 * Standard input has a request a line: a word that says which function, its other arguments, and
 * the text to the end of the line.  The answer is a line with the result, or with "wrong: " and
 * what is wrong with the text.
 */
#include "base/timestamp.h"

#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 512

/* A copy of just the size, so that reading past its end is seen. */
static char *
exact_copy(const char *text, size_t size)
{
	char *copy = malloc(size > 0 ? size : 1);

	memcpy(copy, text, size);
	return copy;
}

/* The result is read after the call that wrong comes from. */
static void
answer(const char *wrong, const int64_t *result)
{
	if (wrong != NULL)
		printf("wrong: %s\n", wrong);
	else
		printf("%" PRId64 "\n", *result);
}

static void
write_time(int64_t time_ns)
{
	char text[TIMESTAMP_TEXT_BYTES];
	size_t length = timestamp_write_rfc3339(time_ns, text);

	printf("%s\n", length == strlen(text) ? text : "its length is wrong");
}

/* NOW FROM UNIT DOUBT TEXT */
static void
read_parameter(char *line)
{
	int64_t now_ns = strtoll(line, &line, 10);
	int64_t from_ns = strtoll(line, &line, 10);
	int64_t unit_ns = strtoll(line, &line, 10);
	TimestampRules rules = timestamp_rules(unit_ns, strtoll(line, &line, 10) != 0);
	char wrong[TIMESTAMP_WRONG_BYTES];
	int64_t result = 0;
	char *text;

	text = exact_copy(line + 1, strlen(line));
	answer(timestamp_read(text, &rules, now_ns, from_ns, &result, wrong), &result);
	free(text);
}

int
main(void)
{
	char line[LINE_BYTES];

	number_init();
	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		char *rest = strchr(line, ' ');
		int64_t result = 0;
		char *text;

		line[strcspn(line, "\n")] = '\0';
		*rest++ = '\0';
		text = exact_copy(rest, strlen(rest));
		if (strcmp(line, "rfc3339") == 0)
			answer(timestamp_read_rfc3339(text, strlen(rest), &result), &result);
		else if (strcmp(line, "length") == 0)
			answer(timestamp_read_length(text, strlen(rest), &result), &result);
		else if (strcmp(line, "write") == 0)
			write_time(strtoll(rest, NULL, 10));
		else if (strcmp(line, "unit") == 0)
		{
			int64_t unit_ns = strtoll(rest, &rest, 10);

			result = timestamp_in_unit(strtoll(rest, NULL, 10), unit_ns);
			answer(NULL, &result);
		}
		else if (strcmp(line, "likely") == 0)
		{
			int64_t now_ns = strtoll(rest, &rest, 10);

			result = timestamp_likely_unit(strtoll(rest, NULL, 10), now_ns);
			answer(NULL, &result);
		}
		else if (strcmp(line, "read") == 0)
			read_parameter(rest);
		else
			return 1;
		free(text);
	}
	return 0;
}
