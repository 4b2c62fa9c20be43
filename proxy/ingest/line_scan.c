/*
 * line_scan.c
 *	  Scans one point of InfluxDB's line protocol into a stage.
 *
 *		measurement,key=value,key=value field=1.5,field=2i 1583748873000000000
 *
 * The tag is the series' key as it is written, but with its pairs in the order of their keys, and
 * with "\ " as a plain space.  So a series has one tag, and two series never have the same one.
 * Fields become values in the order of their names; point_merge() moves them to their places.
 *
 * A backslash before a comma, an equals sign or a space makes that an ordinary character.  Before
 * any other character the backslash is an ordinary character itself.
 */
#include "ingest/line_scan.h"

#include "base/number.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The shortest pair is ",k=v": more pairs than this do not fit a tag. */
#define MAX_PAIRS (MESSAGE_MAX_TAG_BYTES / 4)

/* A float64 holds all integers up to this one. */
#define MAX_EXACT_INTEGER (INT64_C(1) << 53)

/* Room made before values are stored. */
#define VALUES_STEP 64

/* The longest number that is accepted in a form that JSON does not have. */
#define MAX_NUMBER_BYTES 400

typedef struct Text
{
	const char *start;
	size_t length;
} Text;

typedef struct Pair
{
	Text key;
	Text whole; /* key=value */
} Pair;

typedef struct Field
{
	Text key;
	double value;
} Field;

typedef struct Line
{
	const char *c;
	const char *end;
	bool plain;	 /* there is no backslash in it */
	bool sorted; /* the fields come in the order of their names */
	MessageError *error;
	int pair_count;
	uint32_t field_count;
	Text measurement;
	Pair pairs[MAX_PAIRS];
	Field fields[MESSAGE_MAX_VALUES];
	char tag[MESSAGE_MAX_TAG_BYTES];
	size_t tag_length;
} Line;

static bool scan_series(Line *line);
static bool scan_fields(Line *line, Stage *stage, const LineRules *rules);
static bool add_other_fields(Line *line, Stage *stage, const LineRules *rules, int64_t time_ns);
static bool skip_string(Line *line, Text key);
static bool scan_other_value(Line *line, Text key, double *value);
static bool scan_number(Line *line, Text key, double *value);
static bool scan_time(Line *line, const TimestampRules *times, const LineRules *rules,
					  int64_t *time_ns);
static bool make_tag(Line *line);
static bool sort_fields(Line *line, double *values);

static bool __attribute__((cold, noinline, format(printf, 3, 4)))
invalid(Line *line, Text field, const char *format, ...)
{
	va_list args;

	snprintf(line->error->field, sizeof(line->error->field), "%.*s",
			 (int) (field.length < 40 ? field.length : 40), field.start ? field.start : "");
	va_start(args, format);
	vsnprintf(line->error->detail, sizeof(line->error->detail), format, args);
	va_end(args);
	return false;
}

#define NOWHERE ((Text){"", 0})

bool
line_scan(Stage *stage, const char *text, const char *end, const TimestampRules *times,
		  const LineRules *rules, MessageError *error)
{
	Line line; /* not initialized as a whole: it is large */
	int64_t time_ns = 0;

	line.c = text;
	line.end = end;
	line.sorted = true;
	line.plain = memchr(text, '\\', (size_t) (end - text)) == NULL;
	line.error = error;
	line.pair_count = 0;
	line.field_count = 0;
	if (!scan_series(&line) || !scan_fields(&line, stage, rules) ||
		!scan_time(&line, times, rules, &time_ns) || !make_tag(&line))
		return false;
	if (rules->tag_prefix != NULL &&
		!message_scan_allows(line.tag, line.tag_length, rules->tag_prefix, rules->tag_prefix_length,
							 error))
		return false;
	if (line.field_count == 0)
		return true;
	if (!stage_fits(line.field_count, false, line.tag_length))
		return invalid(
			&line, NOWHERE,
			"%u fields with a tag of %zu bytes are more than a row holds (8 bytes each and the "
			"tag: %d)",
			line.field_count, line.tag_length, MESSAGE_MAX_ROW_BYTES);
	if (rules->merge != NULL && !add_other_fields(&line, stage, rules, time_ns))
		return false;
	stage_add(stage, time_ns, line.field_count, line.tag, line.tag_length);
	return true;
}

/* Adds the fields that other lines gave the same point. */
static bool
add_other_fields(Line *line, Stage *stage, const LineRules *rules, int64_t time_ns)
{
	double *values = stage_reserve(stage, MESSAGE_MAX_VALUES)->values;
	PointName names[MESSAGE_MAX_VALUES];

	for (uint32_t i = 0; i < line->field_count; i++)
		names[i] = (PointName){line->fields[i].key.start, line->fields[i].key.length};
	return point_merge(rules->merge, &rules->writer, time_ns, line->tag, line->tag_length, names,
					   values, &line->field_count, stage) ||
		   invalid(line, NOWHERE,
				   "the lines of this point, or all points of the series, have more than %d fields "
				   "in all, or more than a row holds (8 bytes each and the tag: %d)",
				   MESSAGE_MAX_VALUES, MESSAGE_MAX_ROW_BYTES);
}

static inline bool
escapes(const char *c, const char *end)
{
	return *c == '\\' && c + 1 < end && (c[1] == ',' || c[1] == '=' || c[1] == ' ');
}

/*
 * Moves to the next of the three stops that is not escaped, or to the end; returns the text before
 * it.
 */
static inline Text __attribute__((always_inline))
scan_until(Line *line, char stop, char other, char third)
{
	const char *start = line->c;
	const char *end = line->end;
	const char *c = start;

	if (line->plain)
	{
		while (c < end && *c != stop && *c != other && *c != third)
			c++;
	}
	else
	{
		while (c < end && *c != stop && *c != other && *c != third)
			c += escapes(c, end) ? 2 : 1;
	}
	line->c = c;
	return (Text){start, (size_t) (c - start)};
}

static bool
at(const Line *line, char c)
{
	return line->c < line->end && *line->c == c;
}

static bool
skip_spaces(Line *line)
{
	const char *start = line->c;

	while (at(line, ' '))
		line->c++;
	return line->c > start;
}

/* Compares two texts without their escapes, as memcmp does. */
static int
compare_escaped(Text a, Text b)
{
	const char *x = a.start;
	const char *y = b.start;
	const char *x_end = x + a.length;
	const char *y_end = y + b.length;

	while (x < x_end && y < y_end)
	{
		x += escapes(x, x_end);
		y += escapes(y, y_end);
		if (*x != *y)
			return (unsigned char) *x < (unsigned char) *y ? -1 : 1;
		x++;
		y++;
	}
	return (x < x_end) - (y < y_end);
}

static inline int
compare(const Line *line, Text a, Text b)
{
	size_t shorter = a.length < b.length ? a.length : b.length;

	if (!line->plain)
		return compare_escaped(a, b);
	/* Names are short: calling memcmp takes longer than this. */
	for (size_t i = 0; i < shorter; i++)
	{
		if (a.start[i] != b.start[i])
			return (unsigned char) a.start[i] < (unsigned char) b.start[i] ? -1 : 1;
	}
	return (a.length > b.length) - (a.length < b.length);
}

/* Scans the measurement and its pairs. */
static bool
scan_series(Line *line)
{
	line->measurement = scan_until(line, ',', ' ', ' ');
	if (line->measurement.length == 0)
		return invalid(line, NOWHERE, "the measurement is missing");
	while (at(line, ','))
	{
		Pair *pair = &line->pairs[line->pair_count];

		if (line->pair_count++ == MAX_PAIRS)
			return invalid(line, NOWHERE, "measurement and tags make a tag of more than %d bytes",
						   MESSAGE_MAX_TAG_BYTES);
		line->c++;
		pair->whole.start = line->c;
		pair->key = scan_until(line, '=', ',', ' ');
		if (pair->key.length == 0 || !at(line, '='))
			return invalid(line, pair->key, "a tag must be key=value");
		line->c++;
		if (scan_until(line, ',', ' ', '=').length == 0 || at(line, '='))
			return invalid(line, pair->key, "a tag must be key=value");
		pair->whole.length = (size_t) (line->c - pair->whole.start);
	}
	return true;
}

/*
 * Scans the fields.  Their values are stored where they stay, because most clients send the fields
 * in the order of their names.
 */
static bool
scan_fields(Line *line, Stage *stage, const LineRules *rules)
{
	double *values = stage_reserve(stage, VALUES_STEP)->values;
	uint32_t count = 0;

	if (!skip_spaces(line) || line->c == line->end)
		return invalid(line, NOWHERE, "the fields are missing");
	line->c--;
	do
	{
		Field *field = &line->fields[count];
		const char *start;

		if (count == MESSAGE_MAX_VALUES)
			return invalid(line, NOWHERE, "there are more than %d fields", MESSAGE_MAX_VALUES);
		if (count > 0 && count % VALUES_STEP == 0)
			values = stage_reserve(stage, count + VALUES_STEP)->values;
		line->c++;
		field->key = scan_until(line, '=', ',', ' ');
		if (field->key.length == 0 || !at(line, '='))
			return invalid(line, field->key, "a field must be name=value");
		start = ++line->c;
		if (rules->skip_strings && at(line, '"'))
		{
			if (!skip_string(line, field->key))
				return false;
			continue;
		}
		if (count > 0 && compare(line, field[-1].key, field->key) >= 0)
			line->sorted = false;
		if (number_double(&line->c, line->end, &values[count]) != NUMBER_OK ||
			(line->c < line->end && *line->c != ',' && *line->c != ' '))
		{
			line->c = start;
			if (!scan_other_value(line, field->key, &values[count]))
				return false;
		}
		count++;
	} while (at(line, ','));
	line->field_count = count;
	return line->sorted || sort_fields(line, values);
}

static bool
skip_string(Line *line, Text key)
{
	const char *c = line->c + 1;

	while (c < line->end && *c != '"')
		c += *c == '\\' && c + 1 < line->end && (c[1] == '"' || c[1] == '\\') ? 2 : 1;
	if (c == line->end || (c + 1 < line->end && c[1] != ',' && c[1] != ' '))
		return invalid(line, key, "the string does not end with a quote");
	line->c = c + 1;
	return true;
}

static bool
is_word(Text value, const char *word)
{
	return value.length == strlen(word) && memcmp(value.start, word, value.length) == 0;
}

/* Scans a value that is not a number by JSON's grammar. */
static bool __attribute__((noinline)) scan_other_value(Line *line, Text key, double *value)
{
	static const char *const words[] = {"f", "F", "false", "False", "FALSE",
										"t", "T", "true",  "True",	"TRUE"};
	char first = line->c < line->end ? *line->c : ' ';
	Text word;

	if ((first >= '0' && first <= '9') || first == '-' || first == '.')
		return scan_number(line, key, value);
	if (first == '"')
		return invalid(line, key,
					   "the field is a string; only numbers and booleans can be "
					   "stored, and strings=ignore leaves the others out");
	word = scan_until(line, ',', ' ', ' ');
	for (int i = 0; i < 10; i++)
	{
		if (is_word(word, words[i]))
		{
			*value = i >= 5;
			return true;
		}
	}
	return invalid(line, key, "the field is neither a number nor a boolean");
}

/* Scans an integer with its suffix: i, or u for one without a sign. */
static bool
scan_integer(Line *line, Text key, Text text, double *value)
{
	const char *c = text.start;
	const char *end = text.start + text.length - 1;
	int64_t integer = 0;
	NumberStatus status = NUMBER_SYNTAX;

	if (*end == 'i' || *c != '-')
		status = number_int64(&c, end, &integer);
	if (status == NUMBER_RANGE || integer > MAX_EXACT_INTEGER || integer < -MAX_EXACT_INTEGER)
		return invalid(line, key, "the integer is past 2^53: float64 cannot hold it exactly");
	if (status != NUMBER_OK || c != end)
		return invalid(line, key, "the field is not an integer");
	*value = (double) integer;
	return true;
}

/*
 * Scans a number in a form that JSON does not have: with leading zeros, or without digits on one
 * side of the point.  It is brought into JSON's form, for the exact conversion of number.c.
 */
static bool
scan_loose_number(Line *line, Text key, Text text, double *value)
{
	char json[MAX_NUMBER_BYTES + 8];
	char *out = json;
	const char *c = text.start;
	const char *end = text.start + text.length;
	const char *digits;
	const char *json_start = json;
	size_t whole;
	size_t fraction = 0;

	if (text.length > MAX_NUMBER_BYTES)
		return invalid(line, key, "the number is longer than %d bytes", MAX_NUMBER_BYTES);
	if (c < end && *c == '-')
		*out++ = *c++;
	while (c + 1 < end && *c == '0' && c[1] >= '0' && c[1] <= '9')
		c++;
	digits = c;
	while (c < end && *c >= '0' && *c <= '9')
		*out++ = *c++;
	whole = (size_t) (c - digits);
	if (whole == 0)
		*out++ = '0';
	if (c < end && *c == '.')
	{
		*out++ = *c++;
		digits = c;
		while (c < end && *c >= '0' && *c <= '9')
			*out++ = *c++;
		fraction = (size_t) (c - digits);
		if (fraction == 0)
			*out++ = '0';
	}
	while (c < end)
		*out++ = *c++; /* what is left is an exponent, or no number */
	if (whole + fraction > 0)
	{
		switch (number_double(&json_start, out, value))
		{
			case NUMBER_OK:
				if (json_start == out)
					return true;
				break;
			case NUMBER_RANGE:
				return invalid(line, key, "the number is too large for float64");
			default:
				break;
		}
	}
	return invalid(line, key, "the field is not a number");
}

static bool
scan_number(Line *line, Text key, double *value)
{
	Text text = scan_until(line, ',', ' ', ' ');
	char last = text.start[text.length - 1];

	if (last == 'i' || last == 'u')
		return scan_integer(line, key, text, value);
	return scan_loose_number(line, key, text, value);
}

/* Scans the timestamp, after which the line must end; a line without one has the current time. */
static bool
scan_time(Line *line, const TimestampRules *times, const LineRules *rules, int64_t *time_ns)
{
	static const Text time = {"time", 4};
	char buffer[TIMESTAMP_WRONG_BYTES];
	const char *wrong;
	int64_t count;
	NumberStatus status;

	skip_spaces(line);
	if (line->c == line->end)
	{
		*time_ns = rules->now_ns;
		return true;
	}
	status = number_int64(&line->c, line->end, &count);
	if (status == NUMBER_RANGE)
		return invalid(line, time, "the timestamp does not fit into 64 bits");
	skip_spaces(line);
	if (status != NUMBER_OK || line->c != line->end)
		return invalid(line, time, "the timestamp is not an integer");
	*time_ns = count;
	if (timestamp_plain(times, count))
		return true;
	wrong = timestamp_from_integer(times, count, time_ns, buffer);
	return wrong == NULL || invalid(line, time, "the timestamp %s", wrong);
}

/* Appends a text to the tag, with plain spaces for escaped ones; false if it does not fit. */
static bool
put(Line *line, Text text)
{
	if (line->plain)
	{
		if (text.length > sizeof(line->tag) - line->tag_length)
			return false;
		memcpy(line->tag + line->tag_length, text.start, text.length);
		line->tag_length += text.length;
		return true;
	}
	for (size_t i = 0; i < text.length; i++)
	{
		/* The backslash of an escaped space is left out. */
		if (escapes(text.start + i, text.start + text.length))
		{
			if (text.start[i + 1] != ' ')
			{
				if (line->tag_length == sizeof(line->tag))
					return false;
				line->tag[line->tag_length++] = '\\';
			}
			i++;
		}
		if (line->tag_length == sizeof(line->tag))
			return false;
		line->tag[line->tag_length++] = text.start[i];
	}
	return true;
}

/* Makes the tag of measurement and pairs, and checks it. */
static bool
make_tag(Line *line)
{
	unsigned char all = 0;
	bool fits;

	/* An insertion sort, because the pairs are few, and most clients send them in order. */
	for (int i = 1; i < line->pair_count; i++)
	{
		Pair pair = line->pairs[i];
		int order = -1;
		int j = i;

		for (; j > 0 && (order = compare(line, pair.key, line->pairs[j - 1].key)) < 0; j--)
			line->pairs[j] = line->pairs[j - 1];
		if (order == 0)
			return invalid(line, pair.key, "the tag is given twice");
		line->pairs[j] = pair;
	}
	line->tag_length = 0;
	fits = put(line, line->measurement);
	for (int i = 0; fits && i < line->pair_count; i++)
		fits = put(line, (Text){",", 1}) && put(line, line->pairs[i].whole);
	if (!fits)
		return invalid(line, NOWHERE, "measurement and tags make a tag of more than %d bytes",
					   MESSAGE_MAX_TAG_BYTES);
	for (size_t i = 0; i < line->tag_length; i++)
		all |= (unsigned char) line->tag[i];
	if (all >= 0x80 && !utf8_valid(line->tag, line->tag_length))
		return invalid(line, NOWHERE, "measurement or tags are not valid UTF-8");
	if (utf8_has_control(line->tag, line->tag_length))
		return invalid(line, NOWHERE, "measurement or tags have a control character");
	return true;
}

static int
compare_fields(const void *a, const void *b)
{
	return compare_escaped(((const Field *) a)->key, ((const Field *) b)->key);
}

static bool
sort_fields(Line *line, double *values)
{
	for (uint32_t i = 0; i < line->field_count; i++)
		line->fields[i].value = values[i];
	qsort(line->fields, line->field_count, sizeof(Field), compare_fields);
	for (uint32_t i = 0; i < line->field_count; i++)
	{
		if (i > 0 && compare(line, line->fields[i - 1].key, line->fields[i].key) == 0)
			return invalid(line, line->fields[i].key, "the field is given twice");
		values[i] = line->fields[i].value;
	}
	return true;
}

/*
 * Finds the end of a line with a quote.  Only the value of a field can be a string, so that a
 * string begins after the equals sign of a field.
 */
static const char *
end_outside_of_strings(const char *c, const char *end)
{
	bool fields = false;
	bool string = false;

	while (c < end && (*c == ' ' || *c == '\t' || *c == '\r'))
		c++;
	if (c < end && *c == '#')
		return memchr(c, '\n', (size_t) (end - c));
	for (; c < end; c++)
	{
		if (string)
		{
			if (*c == '\\' && c + 1 < end && (c[1] == '"' || c[1] == '\\'))
				c++;
			else if (*c == '"')
				string = false;
			continue;
		}
		if (*c == '\n')
			return c;
		if (escapes(c, end))
			c++;
		else if (*c == ' ')
			fields = true;
		else if (*c == '=' && fields && c + 1 < end && c[1] == '"')
		{
			string = true;
			c++;
		}
	}
	return NULL;
}

const char *
line_scan_end(const char *line, const char *end)
{
	const char *feed = memchr(line, '\n', (size_t) (end - line));

	if (feed == NULL)
		return NULL;
	if (memchr(line, '"', (size_t) (feed - line)) == NULL)
		return feed;
	return end_outside_of_strings(line, end);
}
