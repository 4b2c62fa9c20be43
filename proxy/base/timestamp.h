/*
 * timestamp.h
 *	  Times and lengths of time as text, and integers in other units than nanoseconds.
 *
 * A time is a signed 64-bit integer of nanoseconds since 1970-01-01 UTC, without leap seconds.
 * Functions that read text return NULL, or what is wrong with it as the rest of a sentence: "has no
 * offset from UTC ..".
 */
#ifndef HISTORIAND_TIMESTAMP_H
#define HISTORIAND_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMESTAMP_SECOND_NS INT64_C(1000000000)
#define TIMESTAMP_HOUR_NS	(3600 * TIMESTAMP_SECOND_NS)

/* Room for any time as RFC 3339 writes it, with its NUL. */
#define TIMESTAMP_TEXT_BYTES 32

/* Room for what is wrong with an integer. */
#define TIMESTAMP_WRONG_BYTES 136

/*
 * The integers that may be recent times in another unit: from 2010 in seconds to 2200 in
 * microseconds.  All recent times in nanoseconds are larger.
 */
#define TIMESTAMP_DOUBTED_FROM	INT64_C(1262304000)
#define TIMESTAMP_DOUBTED_BELOW INT64_C(7258118400000000)

/* How the integers of a request are read; made by timestamp_rules(). */
typedef struct TimestampRules
{
	int64_t unit_ns;	 /* nanoseconds in one: 1 or more */
	bool doubt;			 /* refuse integers that read as recent times in another unit */
	int64_t plain_above; /* larger integers are times as they are */
} TimestampRules;

static inline TimestampRules
timestamp_rules(int64_t unit_ns, bool doubt)
{
	return (TimestampRules){
		.unit_ns = unit_ns,
		.doubt = doubt,
		.plain_above = unit_ns != 1 ? INT64_MAX
					   : doubt		? TIMESTAMP_DOUBTED_BELOW - 1
									: INT64_MIN,
	};
}

/* Is the integer a time as it is?  The test is quick; other integers may be times as they are, too. */
static inline bool
timestamp_plain(const TimestampRules *rules, int64_t count)
{
	return count > rules->plain_above;
}

/*
 * Reads the name of a unit of integers: ns, us, ms or s.  Given a unit, integers are taken without
 * doubt.  False if it is another name.
 */
extern bool timestamp_read_precision(const char *name, TimestampRules *rules);

/* The nanoseconds in a unit: ns, us, ms, s, m, h, d or w; 0 if it is none of these. */
extern int64_t timestamp_unit_ns(const char *name, size_t length);

/* The current time. */
extern int64_t timestamp_now(void);

/* Makes a time of an integer; what is wrong goes to wrong, of TIMESTAMP_WRONG_BYTES. */
extern const char *timestamp_from_integer(const TimestampRules *rules, int64_t count,
										  int64_t *time_ns, char *wrong);

/*
 * The nanoseconds in the unit (s, ms, us or ns) in which an integer is a time between 2010 and a
 * day after now; 0: it is none in any of them.
 */
extern int64_t timestamp_likely_unit(int64_t count, int64_t now_ns);

/* The time in a unit, rounded down: no time becomes a later one. */
extern int64_t timestamp_in_unit(int64_t time_ns, int64_t unit_ns);

/*
 * Reads a time of RFC 3339, with an offset and up to nine digits after the point.  A leap second
 * (second 60 at the end of a month of UTC) is the first second of the next day, as POSIX counts.
 */
extern const char *timestamp_read_rfc3339(const char *text, size_t length, int64_t *time_ns);

/* Writes a time in UTC with as many digits as it needs; returns the length without the NUL. */
extern size_t timestamp_write_rfc3339(int64_t time_ns, char *text);

/* Reads a length of time such as 1h30m: whole numbers with their units, one after the other. */
extern const char *timestamp_read_length(const char *text, size_t length, int64_t *length_ns);

/*
 * Reads a time as parameters have it: an integer, RFC 3339, now, now-1h30m, or -15m, which is
 * before from_ns.  A space stands for the plus that a form decodes to one.  What is wrong may be in
 * wrong, of TIMESTAMP_WRONG_BYTES.
 */
extern const char *timestamp_read(const char *text, const TimestampRules *rules, int64_t now_ns,
								  int64_t from_ns, int64_t *time_ns, char *wrong);

#endif /* HISTORIAND_TIMESTAMP_H */
