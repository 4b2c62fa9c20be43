/*
 * cell.c
 *	  Texts of single cells as times and values.
 *
 * Times are those of HTTP, and those that other programs write: PostgreSQL's timestamptz, a time
 * without an offset if the zone is known, and seconds with decimals.
 */
#include "cell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "ingest/stage.h"

#define MAX_NUMBER_BYTES 400
#define ZONE_FOLDER		 "/usr/share/zoneinfo"

static const char no_time[] = "is neither an integer nor a time such as 2026-01-01T00:00:00Z";

static Cell
trimmed(const Cell *cell)
{
	Cell inner = *cell;

	while (inner.length > 0 && (*inner.text == ' ' || *inner.text == '\t'))
	{
		inner.text++;
		inner.length--;
	}
	while (inner.length > 0 &&
		   (inner.text[inner.length - 1] == ' ' || inner.text[inner.length - 1] == '\t'))
		inner.length--;
	return inner;
}

/* The C library takes any name for UTC that it does not know. */
const char *
cell_set_time_zone(CellForm *form, const char *name)
{
	char path[300];

	if (strcmp(name, "UTC") != 0)
	{
		if (strstr(name, "..") != NULL || name[0] == '/' ||
			(size_t) snprintf(path, sizeof(path), ZONE_FOLDER "/%s", name) >= sizeof(path) ||
			access(path, R_OK) != 0)
			return "is no time zone in " ZONE_FOLDER;
	}
	setenv("TZ", name, 1);
	tzset();
	form->time_zone = name;
	return NULL;
}

/*
 * Moves a time that was read as one of UTC to the zone.  Where the clock shows it twice, when
 * summer time ends, the first of both is meant.
 */
static const char *
to_zone(int64_t *time_ns)
{
	time_t seconds = (time_t) timestamp_in_unit(*time_ns, TIMESTAMP_SECOND_NS);
	int64_t rest = *time_ns - (int64_t) seconds * TIMESTAMP_SECOND_NS;
	__int128 moved;

	for (int summer = 1; summer >= 0; summer--)
	{
		struct tm fields;
		struct tm asked;
		time_t found;

		gmtime_r(&seconds, &fields);
		asked = fields;
		fields.tm_isdst = summer;
		found = mktime(&fields);
		if (fields.tm_isdst != summer || fields.tm_hour != asked.tm_hour ||
			fields.tm_min != asked.tm_min || fields.tm_mday != asked.tm_mday)
			continue;
		moved = (__int128) found * TIMESTAMP_SECOND_NS + rest;
		if (moved < INT64_MIN || moved > INT64_MAX)
			return "is out of the range of times, 1677 to 2262";
		*time_ns = (int64_t) moved;
		return NULL;
	}
	return "does not exist in that time zone: the clock is put forward over it";
}

static bool
all_digits(const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	return true;
}

/*
 * Writes a date and time as RFC 3339 has it, with what PostgreSQL and others leave out: seconds,
 * the minutes of an offset or the colon in it, and with *local the offset.  Returns its length, or
 * 0 if it is no such time.
 */
static size_t
as_rfc3339(const char *text, size_t length, char out[64], bool *local)
{
	size_t used = 16;
	const char *rest;
	size_t left;

	*local = false;
	if (length < 10 || length > 50 || !all_digits(text, 4) || text[4] != '-')
		return 0;
	if (length == 10)
	{
		memcpy(out, text, 10);
		memcpy(out + 10, "T00:00:00Z", 10);
		*local = true;
		return 20;
	}
	if (length < 16)
		return 0;
	memcpy(out, text, 16); /* to the minutes */
	rest = text + 16;
	left = length - 16;
	if (left > 0 && *rest == ':')
	{
		size_t digits = 1;

		while (digits < left && (all_digits(rest + digits, 1) || rest[digits] == '.'))
			digits++;
		memcpy(out + used, rest, digits);
		used += digits;
		rest += digits;
		left -= digits;
	}
	else
	{
		memcpy(out + used, ":00", 3);
		used += 3;
	}
	if (left > 1 && *rest == ' ') /* 00:00:00 +01:00, 00:00:00 UTC */
	{
		rest++;
		left--;
	}
	if (left == 0 || (left == 3 && memcmp(rest, "UTC", 3) == 0))
	{
		*local = left == 0;
		out[used] = 'Z';
		return used + 1;
	}
	memcpy(out + used, rest, left);
	used += left;
	if (left == 3 && strchr("+-", *rest) != NULL)
	{
		memcpy(out + used, ":00", 3);
		used += 3;
	}
	else if (left == 5 && strchr("+-", *rest) != NULL && all_digits(rest + 1, 4))
	{
		memcpy(out + used - 2, ":", 1);
		memcpy(out + used - 1, rest + 3, 2);
		used++;
	}
	return used;
}

static const char *
date_time(const CellForm *form, const Cell *cell, int64_t *time_ns)
{
	char text[64];
	bool local;
	size_t length = as_rfc3339(cell->text, cell->length, text, &local);
	const char *wrong;

	if (length == 0)
		return no_time;
	wrong = timestamp_read_rfc3339(text, length, time_ns);
	if (wrong != NULL || !local)
		return wrong;
	if (form->time_zone == NULL)
		return "has no offset from UTC, such as Z or +01:00; --time-zone says which one is meant";
	return to_zone(time_ns);
}

/* As timestamp_from_integer(), whose advice is about HTTP's parameter precision. */
static const char *
integer_time(const CellForm *form, int64_t count, int64_t *time_ns, char *wrong)
{
	char advice[TIMESTAMP_WRONG_BYTES];
	const char *c = advice;
	size_t used = 0;

	if (timestamp_from_integer(&form->times, count, time_ns, advice) == NULL)
		return NULL;
	while (*c != '\0' && used < TIMESTAMP_WRONG_BYTES - 1)
	{
		if (strncmp(c, "precision=", 10) == 0)
		{
			used += (size_t) snprintf(wrong + used, TIMESTAMP_WRONG_BYTES - used, "--precision ");
			used = used < TIMESTAMP_WRONG_BYTES ? used : TIMESTAMP_WRONG_BYTES - 1;
			c += 10;
		}
		else
			wrong[used++] = *c++;
	}
	wrong[used] = '\0';
	return wrong;
}

/* Reads a number with decimals, such as 1767225600.25 in seconds. */
static const char *
decimal_time(const CellForm *form, const Cell *cell, int64_t whole, const char *point,
			 int64_t *time_ns, char *wrong)
{
	const char *end = cell->text + cell->length;
	__int128 time;
	int64_t fraction = 0;
	int64_t scale = form->times.unit_ns;
	const char *refused = integer_time(form, whole, time_ns, wrong);

	if (refused != NULL)
		return refused;
	if (point + 1 == end)
		return no_time;
	for (const char *c = point + 1; c < end; c++)
	{
		if (scale % 10 != 0 && *c != '0')
			return "has decimals beyond nanoseconds";
		scale /= 10;
		fraction += (*c - '0') * scale;
	}
	time = (__int128) *time_ns + (*cell->text == '-' ? -fraction : fraction);
	if (time < INT64_MIN || time > INT64_MAX)
		return "is out of the range of times, 1677 to 2262";
	*time_ns = (int64_t) time;
	return NULL;
}

const char *
cell_time(const CellForm *form, const Cell *cell, int64_t *time_ns, char *wrong)
{
	Cell inner = trimmed(cell);
	const char *cursor = inner.text;
	const char *end = inner.text + inner.length;
	const char *digits = inner.text + (inner.length > 0 && *inner.text == '-');
	const char *point = digits;
	int64_t count;

	if (inner.length == 0)
		return "is missing";
	while (point < end && *point >= '0' && *point <= '9')
		point++;
	if (point == digits ||
		(point < end && *point != '.' && !(form->decimal_comma && *point == ',')))
		return date_time(form, &inner, time_ns);
	/* A date such as 15.02.2026 begins as a number does, and advice about its unit would mislead. */
	for (const char *c = point + 1; c < end; c++)
	{
		if (*c < '0' || *c > '9')
			return no_time;
	}
	if (number_int64(&cursor, point, &count) != NUMBER_OK || cursor != point)
		return "is no integer of 64 bits";
	if (point < end)
		return decimal_time(form, &inner, count, point, time_ns, wrong);
	if (timestamp_plain(&form->times, count))
	{
		*time_ns = count;
		return NULL;
	}
	return integer_time(form, count, time_ns, wrong);
}

static bool
equals(const Cell *cell, const char *text)
{
	return text != NULL && strlen(text) == cell->length &&
		   strncasecmp(text, cell->text, cell->length) == 0;
}

/* Reads what JSON does not write: 1., .5, +1, NaN, Infinity, and decimals after a comma. */
static const char *
other_value(const CellForm *form, const Cell *cell, double *value)
{
	char text[MAX_NUMBER_BYTES + 1];
	char *end;

	if (cell->length > MAX_NUMBER_BYTES || memchr(cell->text, '\0', cell->length) != NULL)
		return "is no number";
	memcpy(text, cell->text, cell->length);
	text[cell->length] = '\0';
	if (form->decimal_comma)
	{
		char *comma = strchr(text, ',');

		if (comma != NULL)
			*comma = '.';
	}
	if (strpbrk(text, "xX(") != NULL) /* strtod() takes hexadecimal numbers, and NaN(..) */
		return "is no number";
	*value = strtod(text, &end);
	if (end == text || *end != '\0')
		return "is no number";
	if (isinf(*value) && strpbrk(text, "iI") == NULL)
		return "is out of the range of a float64";
	return NULL;
}

const char *
cell_value(const CellForm *form, const Cell *cell, double *value)
{
	Cell inner = trimmed(cell);
	const char *cursor = inner.text;
	const char *end = inner.text + inner.length;

	if (inner.length == 0 || cell->is_null)
	{
		value_set_null(value);
		return NULL;
	}
	if (number_double(&cursor, end, value) == NUMBER_OK && cursor == end)
		return NULL;
	if (equals(&inner, "null") || equals(&inner, form->null_text))
	{
		value_set_null(value);
		return NULL;
	}
	return other_value(form, &inner, value);
}

bool
cell_is_array(const Cell *cell)
{
	Cell inner = trimmed(cell);

	return inner.length >= 2 && ((inner.text[0] == '{' && inner.text[inner.length - 1] == '}') ||
								 (inner.text[0] == '[' && inner.text[inner.length - 1] == ']'));
}

const char *
cell_array(const CellForm *form, const Cell *cell, double *values, uint32_t *count, uint32_t limit)
{
	CellForm plain = *form; /* a comma separates elements here */
	Cell inner = trimmed(cell);
	const char *c = inner.text + 1;
	const char *end = inner.text + inner.length - 1;
	Cell all = trimmed(&(Cell){c, (size_t) (end - c), false});

	plain.decimal_comma = false;
	if (all.length == 0)
		return NULL;
	for (;;)
	{
		const char *comma = memchr(c, ',', (size_t) (end - c));
		Cell element = {c, (size_t) ((comma != NULL ? comma : end) - c), false};
		const char *wrong;

		if (*count == limit)
			return "has more values than a row may have, 1000";
		if (trimmed(&element).length == 0)
			return "has an array with nothing between two commas";
		wrong = cell_value(&plain, &element, &values[*count]);
		if (wrong != NULL)
			return wrong;
		++*count;
		if (comma == NULL)
			return NULL;
		c = comma + 1;
	}
}
