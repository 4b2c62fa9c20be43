/*
 * timestamp.c
 *	  Times and lengths of time as text, and integers in other units than nanoseconds.
 *
 * Dates are those of the Gregorian calendar, also before it was introduced, as RFC 3339 has them.
 * The calendar is computed with years that begin in March, so that the day of a leap year is the
 * last one of its year, and in eras of 400 years, which all have the same number of days.
 */
#include "base/timestamp.h"

#include "base/number.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_SECONDS	 INT64_C(86400)
#define ERA_DAYS	 INT64_C(146097)
#define ERA_TO_EPOCH INT64_C(719468) /* days from 0000-03-01 to 1970-01-01 */

/* The lengths of a time with an offset: of 2020-03-09T10:14:33+01:00, and with nine more digits. */
#define SHORTEST_RFC3339 25
#define LONGEST_RFC3339	 35

static const struct
{
	const char *name;
	const char *word; /* NULL: only lengths have this unit, and line protocol */
	int64_t ns;
} units[] = {
	{"ns", "nanoseconds", 1},
	{"us", "microseconds", 1000},
	{"ms", "milliseconds", 1000000},
	{"s", "seconds", TIMESTAMP_SECOND_NS},
	{"m", NULL, 60 * TIMESTAMP_SECOND_NS},
	{"h", NULL, TIMESTAMP_HOUR_NS},
	{"d", NULL, 24 * TIMESTAMP_HOUR_NS},
	{"w", NULL, 7 * 24 * TIMESTAMP_HOUR_NS},
};

#define UNITS (sizeof(units) / sizeof(units[0]))

static const char no_such_form[] =
	"is neither an integer, nor an RFC 3339 time such as 2020-03-09T10:14:33.5Z, nor now, "
	"now-1h30m or -15m";
static const char no_rfc3339[] =
	"is not an RFC 3339 time: date, time of day and zone, such as 2020-03-09T10:14:33.5Z";
static const char no_offset[] =
	"has no offset from UTC: it must end with Z, or with an offset such as +01:00";
static const char out_of_range[] =
	"is outside of 1677-09-21T00:12:43.145224192Z to 2262-04-11T23:47:16.854775807Z";
static const char no_length[] =
	"is not a length such as 1h30m: whole numbers, each with its unit (ns, us, ms, s, m, h, d, w)";

/* The fields of a date and time, with the offset from UTC. */
typedef struct Fields
{
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second;
	int nanosecond;
	int offset_seconds;
} Fields;

static const char *read_fields(const char *c, const char *end, Fields *fields);
static const char *fields_to_time(const Fields *fields, int64_t *time_ns);
static int64_t days_of_date(int year, int month, int day);
static void date_of_days(int64_t days, Fields *fields);

int64_t
timestamp_unit_ns(const char *name, size_t length)
{
	for (size_t i = 0; i < UNITS; i++)
	{
		if (strlen(units[i].name) == length && memcmp(units[i].name, name, length) == 0)
			return units[i].ns;
	}
	return 0;
}

bool
timestamp_read_precision(const char *name, TimestampRules *rules)
{
	int64_t unit_ns = timestamp_unit_ns(name, strlen(name));

	if (unit_ns == 0 || unit_ns > TIMESTAMP_SECOND_NS)
		return false;
	*rules = timestamp_rules(unit_ns, false);
	return true;
}

int64_t
timestamp_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * TIMESTAMP_SECOND_NS + now.tv_nsec;
}

/* The quotient rounded down, also for negative numbers. */
static int64_t
divide_down(int64_t number, int64_t divisor)
{
	return number / divisor - (number % divisor < 0);
}

int64_t
timestamp_in_unit(int64_t time_ns, int64_t unit_ns)
{
	return divide_down(time_ns, unit_ns);
}

/*
 * Integers in units
 */

int64_t
timestamp_likely_unit(int64_t count, int64_t now_ns)
{
	int64_t tomorrow = divide_down(now_ns, TIMESTAMP_SECOND_NS) + DAY_SECONDS;

	for (int64_t unit_ns = TIMESTAMP_SECOND_NS; unit_ns > 0; unit_ns /= 1000)
	{
		int64_t seconds = divide_down(count, TIMESTAMP_SECOND_NS / unit_ns);

		if (seconds >= TIMESTAMP_DOUBTED_FROM && seconds <= tomorrow)
			return unit_ns;
	}
	return 0;
}

static size_t
unit_index(int64_t unit_ns)
{
	size_t i = 0;

	while (units[i].ns != unit_ns)
		i++;
	return i;
}

const char *
timestamp_from_integer(const TimestampRules *rules, int64_t count, int64_t *time_ns, char *wrong)
{
	char text[TIMESTAMP_TEXT_BYTES];
	int64_t likely_ns;
	size_t likely;

	bool overflow = __builtin_mul_overflow(count, rules->unit_ns, time_ns);

	if (!overflow &&
		(!rules->doubt || count < TIMESTAMP_DOUBTED_FROM || timestamp_plain(rules, count)))
		return NULL;
	likely_ns = timestamp_likely_unit(count, timestamp_now());
	likely = likely_ns > 0 ? unit_index(likely_ns) : 0;
	if (overflow)
	{
		snprintf(
			wrong, TIMESTAMP_WRONG_BYTES,
			"%lld%s is outside of the years 1677 to 2262, which 64 bits of nanoseconds hold%s%s",
			(long long) count, units[unit_index(rules->unit_ns)].name,
			likely_ns > 0 ? "; it reads as " : "", likely_ns > 0 ? units[likely].word : "");
		return wrong;
	}
	if (likely_ns <= 1)
		return NULL;
	timestamp_write_rfc3339(count * likely_ns, text);
	snprintf(wrong, TIMESTAMP_WRONG_BYTES,
			 "%lld reads as %s (%s): give precision=%s, or precision=ns if it is nanoseconds",
			 (long long) count, units[likely].word, text, units[likely].name);
	return wrong;
}

/*
 * RFC 3339
 */

const char *
timestamp_read_rfc3339(const char *text, size_t length, int64_t *time_ns)
{
	Fields fields;
	const char *wrong = read_fields(text, text + length, &fields);

	return wrong != NULL ? wrong : fields_to_time(&fields, time_ns);
}

/* Reads so many digits, and moves *c over them. */
static bool
read_digits(const char **c, const char *end, int count, int *value)
{
	*value = 0;
	if (end - *c < count)
		return false;
	for (; count > 0; count--, ++*c)
	{
		if (**c < '0' || **c > '9')
			return false;
		*value = *value * 10 + (**c - '0');
	}
	return true;
}

/* Moves over one of the characters. */
static bool
skip_any(const char **c, const char *end, const char *characters)
{
	if (*c == end || **c == '\0' || strchr(characters, **c) == NULL)
		return false;
	++*c;
	return true;
}

/* Reads the digits after a point: one to nine. */
static const char *
read_fraction(const char **c, const char *end, int *nanosecond)
{
	int digits = 0;

	*nanosecond = 0;
	for (; *c < end && **c >= '0' && **c <= '9'; ++*c)
	{
		if (digits++ == 9)
			return "has more than nine digits after the point";
		*nanosecond = *nanosecond * 10 + (**c - '0');
	}
	if (digits == 0)
		return no_rfc3339;
	for (; digits < 9; digits++)
		*nanosecond *= 10;
	return NULL;
}

/* Reads Z, or an offset from UTC, and must then be at the end. */
static const char *
read_offset(const char *c, const char *end, int *offset_seconds)
{
	int hours;
	int minutes;
	bool negative;

	*offset_seconds = 0;
	if (c == end)
		return no_offset;
	if (skip_any(&c, end, "Zz"))
		return c == end ? NULL : no_rfc3339;
	negative = *c == '-';
	if (!skip_any(&c, end, "+-") || !read_digits(&c, end, 2, &hours) || !skip_any(&c, end, ":") ||
		!read_digits(&c, end, 2, &minutes) || c != end)
		return no_rfc3339;
	if (hours > 23 || minutes > 59)
		return "has an offset from UTC that does not exist";
	*offset_seconds = (hours * 60 + minutes) * (negative ? -60 : 60);
	return NULL;
}

static const char *
read_fields(const char *c, const char *end, Fields *fields)
{
	const char *wrong;

	fields->nanosecond = 0;
	if (!read_digits(&c, end, 4, &fields->year) || !skip_any(&c, end, "-") ||
		!read_digits(&c, end, 2, &fields->month) || !skip_any(&c, end, "-") ||
		!read_digits(&c, end, 2, &fields->day) || !skip_any(&c, end, "Tt ") ||
		!read_digits(&c, end, 2, &fields->hour) || !skip_any(&c, end, ":") ||
		!read_digits(&c, end, 2, &fields->minute) || !skip_any(&c, end, ":") ||
		!read_digits(&c, end, 2, &fields->second))
		return no_rfc3339;
	if (skip_any(&c, end, ".") && (wrong = read_fraction(&c, end, &fields->nanosecond)) != NULL)
		return wrong;
	return read_offset(c, end, &fields->offset_seconds);
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

/* Checks the fields, and makes a time of them. */
static const char *
fields_to_time(const Fields *fields, int64_t *time_ns)
{
	int64_t seconds;
	__int128 time;

	if (fields->month < 1 || fields->month > 12 || fields->day < 1 ||
		fields->day > days_of_month(fields->year, fields->month))
		return "is a day that does not exist";
	if (fields->hour > 23 || fields->minute > 59 || fields->second > 60)
		return "is an hour, minute or second that does not exist";
	seconds = days_of_date(fields->year, fields->month, fields->day) * DAY_SECONDS +
			  fields->hour * 3600 + fields->minute * 60 + fields->second - fields->offset_seconds;
	if (fields->second == 60)
	{
		Fields next;

		date_of_days(divide_down(seconds, DAY_SECONDS), &next);
		if (seconds % DAY_SECONDS != 0 || next.day != 1)
			return "has second 60, but a leap second ends the last day of a month in UTC";
	}
	time = (__int128) seconds * TIMESTAMP_SECOND_NS + fields->nanosecond;
	if (time < INT64_MIN || time > INT64_MAX)
		return out_of_range;
	*time_ns = (int64_t) time;
	return NULL;
}

/* Days from 1970-01-01 to a date. */
static int64_t
days_of_date(int year, int month, int day)
{
	int64_t march_year = month <= 2 ? year - 1 : year;
	int64_t era = divide_down(march_year, 400);
	int64_t year_of_era = march_year - era * 400;
	int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * ERA_DAYS + day_of_era - ERA_TO_EPOCH;
}

/* The date of a number of days since 1970-01-01. */
static void
date_of_days(int64_t days, Fields *fields)
{
	int64_t era = divide_down(days + ERA_TO_EPOCH, ERA_DAYS);
	int64_t day_of_era = days + ERA_TO_EPOCH - era * ERA_DAYS;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
	int64_t march_month = (5 * day_of_year + 2) / 153;

	fields->day = (int) (day_of_year - (153 * march_month + 2) / 5 + 1);
	fields->month = (int) (march_month < 10 ? march_month + 3 : march_month - 9);
	fields->year = (int) (year_of_era + era * 400 + (fields->month <= 2));
}

size_t
timestamp_write_rfc3339(int64_t time_ns, char *text)
{
	int64_t seconds = divide_down(time_ns, TIMESTAMP_SECOND_NS);
	int64_t days = divide_down(seconds, DAY_SECONDS);
	int rest = (int) (seconds - days * DAY_SECONDS);
	int nanosecond = (int) ((uint64_t) time_ns - (uint64_t) seconds * TIMESTAMP_SECOND_NS);
	int digits = nanosecond == 0 ? 0 : 9;
	Fields fields;
	int length;

	date_of_days(days, &fields);
	length = snprintf(text, TIMESTAMP_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", fields.year,
					  fields.month, fields.day, rest / 3600, rest / 60 % 60, rest % 60);
	for (; digits > 0 && nanosecond % 10 == 0; digits--)
		nanosecond /= 10;
	length += snprintf(text + length, (size_t) (TIMESTAMP_TEXT_BYTES - length),
					   digits > 0 ? ".%0*dZ" : "Z", digits, nanosecond);
	return (size_t) length;
}

/*
 * Lengths, and times that depend on others
 */

const char *
timestamp_read_length(const char *text, size_t length, int64_t *length_ns)
{
	const char *c = text;
	const char *end = text + length;

	*length_ns = 0;
	if (length == 0)
		return no_length;
	while (c < end)
	{
		const char *start = c;
		int64_t count = 0;
		bool overflow = false;
		int64_t unit_ns;

		for (; c < end && *c >= '0' && *c <= '9'; c++)
			overflow |= __builtin_mul_overflow(count, 10, &count) ||
						__builtin_add_overflow(count, *c - '0', &count);
		if (c == start)
			return no_length;
		start = c;
		while (c < end && *c >= 'a' && *c <= 'z')
			c++;
		unit_ns = timestamp_unit_ns(start, (size_t) (c - start));
		if (unit_ns == 0)
			return no_length;
		if (overflow || __builtin_mul_overflow(count, unit_ns, &count) ||
			__builtin_add_overflow(*length_ns, count, length_ns))
			return "is longer than 292 years, which 64 bits of nanoseconds hold";
	}
	return NULL;
}

/* Reads a length with its sign, and adds it to a time. */
static const char *
read_distance(const char *text, int64_t from_ns, int64_t *time_ns)
{
	int64_t length_ns;
	const char *wrong = timestamp_read_length(text + 1, strlen(text + 1), &length_ns);

	if (wrong != NULL)
		return wrong;
	if (text[0] == '-')
		return __builtin_sub_overflow(from_ns, length_ns, time_ns) ? out_of_range : NULL;
	return __builtin_add_overflow(from_ns, length_ns, time_ns) ? out_of_range : NULL;
}

static const char *
read_integer(const char *text, const TimestampRules *rules, int64_t *time_ns, char *wrong)
{
	const char *end = text + strlen(text);
	int64_t count;

	switch (number_int64(&text, end, &count))
	{
		case NUMBER_OK:
			return timestamp_from_integer(rules, count, time_ns, wrong);
		case NUMBER_RANGE:
			return "does not fit into a signed 64-bit integer";
		default:
			return "is not a valid integer";
	}
}

const char *
timestamp_read(const char *text, const TimestampRules *rules, int64_t now_ns, int64_t from_ns,
			   int64_t *time_ns, char *wrong)
{
	size_t length = strlen(text);
	bool negative = text[0] == '-';
	size_t digits = strspn(text + negative, "0123456789");
	char copy[LONGEST_RFC3339 + 1];

	if (strncmp(text, "now", 3) == 0)
	{
		if (text[3] == '-' || text[3] == '+' || text[3] == ' ')
			return read_distance(text + 3, now_ns, time_ns);
		*time_ns = now_ns;
		return text[3] == '\0' ? NULL : no_such_form;
	}
	if (digits > 0 && text[negative + digits] == '\0')
		return read_integer(text, rules, time_ns, wrong);
	if (negative)
		return read_distance(text, from_ns, time_ns);
	if (digits != 4 || text[4] != '-')
		return no_such_form;
	if (length >= SHORTEST_RFC3339 && length <= LONGEST_RFC3339 && text[length - 6] == ' ')
	{
		memcpy(copy, text, length + 1);
		copy[length - 6] = '+';
		text = copy;
	}
	return timestamp_read_rfc3339(text, length, time_ns);
}
