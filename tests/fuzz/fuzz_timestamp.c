/*
 * fuzz_timestamp.c
 *	  Fuzz target: times as text.
 *
 * Built with libFuzzer by timestamp.mk.  What is taken as RFC 3339 must be what the C library's
 * calendar says, and is the same after it was written and read again.  Lengths and the times of
 * parameters must only be read within their bounds.
 */
#include "base/timestamp.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

/* The nanoseconds of a valid time by sscanf and timegm. */
static __int128
by_library(const char *text)
{
	struct tm fields = {0};
	char fraction[10] = "000000000";
	int offset[2] = {0, 0};
	int end = 0;
	const char *rest;
	long long seconds;

	sscanf(text, "%4d-%2d-%2d%*c%2d:%2d:%2d%n", &fields.tm_year, &fields.tm_mon, &fields.tm_mday,
		   &fields.tm_hour, &fields.tm_min, &fields.tm_sec, &end);
	fields.tm_year -= 1900;
	fields.tm_mon--;
	rest = text + end;
	if (*rest == '.')
	{
		size_t digits = strspn(rest + 1, "0123456789");

		memcpy(fraction, rest + 1, digits);
		rest += 1 + digits;
	}
	sscanf(rest + 1, "%2d:%2d", &offset[0], &offset[1]);
	seconds = timegm(&fields) - (*rest == '-' ? -60 : 60) * (offset[0] * 60 + offset[1]);
	return (__int128) seconds * 1000000000 + atoi(fraction);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const TimestampRules rules = timestamp_rules(1, true);
	char *text = malloc(size + 1);
	char written[TIMESTAMP_TEXT_BYTES];
	char wrong[TIMESTAMP_WRONG_BYTES];
	int64_t time_ns;
	int64_t again;
	size_t length;

	memcpy(text, data, size);
	text[size] = '\0';
	if (timestamp_read_rfc3339((const char *) data, size, &time_ns) == NULL)
	{
		expect(by_library(text) == time_ns, "the library reads another time");
		length = timestamp_write_rfc3339(time_ns, written);
		expect(length == strlen(written), "length");
		expect(timestamp_read_rfc3339(written, length, &again) == NULL && again == time_ns,
			   "it is another time after it was written");
	}
	if (timestamp_read_length((const char *) data, size, &time_ns) == NULL)
		expect(time_ns >= 0, "a length below zero");
	timestamp_read(text, &rules, 1583748873000000000, 0, &time_ns, wrong);
	free(text);
	return 0;
}
