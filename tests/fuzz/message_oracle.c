/*
 * message_oracle.c
 *	  What json-c makes of a message, compared with what the scanner makes of it.
 *
 * The scanner may refuse what json-c takes only where SPEC is stricter, or json-c is laxer than
 * RFC 8259.  That list is allowed_refusal(); the other direction has has_huge_integer() alone.
 * What is UTF-8 the C library says, for json-c is lax there, too.
 * Doubles must be equal bit for bit except where json-c reads an integer: it has no negative zero,
 * and saturates past 64 bits.  A null must be the bits that stage.h reserves.
 */
#include "message_oracle.h"

#include "ingest/message_scan.h"
#include "base/number.h"

#include <errno.h>
#include <iconv.h>
#include <json-c/json.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* NULL where the text is not one JSON value and nothing else. */
static struct json_object *
parse(const char *text, size_t length, int flags)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object;
	bool whole;

	json_tokener_set_flags(tokener, flags);
	object = json_tokener_parse_ex(tokener, text, (int) length);
	whole = json_tokener_get_error(tokener) == json_tokener_success &&
			json_tokener_get_parse_end(tokener) == length;
	json_tokener_free(tokener);
	if (!whole)
	{
		json_object_put(object);
		return NULL;
	}
	return object;
}

/* By the C library: json-c takes overlong forms for UTF-8, too. */
static bool
utf8_well_formed(const char *text, size_t length)
{
	static iconv_t converter;
	char *in = (char *) text;
	char out[4096];

	if (converter == NULL)
		converter = iconv_open("UTF-32LE", "UTF-8");
	if (converter == (iconv_t) -1)
		abort();
	iconv(converter, NULL, NULL, NULL, NULL);
	while (length > 0)
	{
		char *end = out;
		size_t room = sizeof(out);

		if (iconv(converter, &in, &length, &end, &room) == (size_t) -1 && errno != E2BIG)
			return false;
	}
	return true;
}

/*
 * Parses strictly, but for bytes past ASCII, which json-c 0.18 refuses in strings where it is strict
 * (its issue 875): so the grammar is looked at with letters in their place.
 */
static struct json_object *
parse_whole(const char *text, size_t length)
{
	char *ascii = malloc(length + 1);
	struct json_object *strict;

	for (size_t i = 0; i < length; i++)
		ascii[i] = (unsigned char) text[i] < 0x80 ? text[i] : 'x';
	strict = parse(ascii, length, JSON_TOKENER_STRICT);
	free(ascii);
	if (strict == NULL)
		return NULL;
	json_object_put(strict);
	if (!utf8_well_formed(text, length))
		return NULL;
	return parse(text, length, JSON_TOKENER_VALIDATE_UTF8);
}

/* By the characters' numbers, as iconv tells them: U+0000 to U+001F, U+007F to U+009F. */
static bool
has_control(const char *text, int length)
{
	uint32_t characters[MESSAGE_MAX_TAG_BYTES];
	char *in = (char *) text;
	char *out = (char *) characters;
	size_t in_left = (size_t) length;
	size_t out_left = sizeof(characters);
	iconv_t converter = iconv_open("UCS-4LE", "UTF-8");
	bool found = false;

	if (converter == (iconv_t) -1)
		abort();
	iconv(converter, &in, &in_left, &out, &out_left);
	iconv_close(converter);
	for (size_t i = 0; i < (sizeof(characters) - out_left) / sizeof(characters[0]); i++)
		found |= characters[i] < 0x20 || (characters[i] >= 0x7F && characters[i] <= 0x9F);
	return found;
}

/*
 * A string of RFC 3339 by a regular expression and the C library's calendar.  timegm() makes
 * another date of one that does not exist.  A leap second is one after the second before it, where
 * a month ends.
 */
static bool
time_of_text(const char *text, int length, int64_t *time_ns)
{
	static regex_t form;
	static bool compiled;
	struct tm fields = {0};
	struct tm given;
	char digits[10] = "000000000";
	int offset[2] = {0, 0};
	int end = 0;
	const char *rest;
	time_t seconds;
	__int128 time;
	bool leap;

	if (!compiled)
	{
		regcomp(&form,
				"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)"
				"(\\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$",
				REG_EXTENDED | REG_NOSUB);
		compiled = true;
	}
	if ((size_t) length != strlen(text) || regexec(&form, text, 0, NULL, 0) != 0)
		return false;
	sscanf(text, "%4d-%2d-%2d%*c%2d:%2d:%2d%n", &fields.tm_year, &fields.tm_mon, &fields.tm_mday,
		   &fields.tm_hour, &fields.tm_min, &fields.tm_sec, &end);
	fields.tm_year -= 1900;
	fields.tm_mon--;
	leap = fields.tm_sec == 60;
	fields.tm_sec -= leap;
	given = fields;
	seconds = timegm(&fields);
	if (fields.tm_mon != given.tm_mon || fields.tm_mday != given.tm_mday)
		return false;
	rest = text + end;
	if (*rest == '.')
	{
		size_t count = strspn(rest + 1, "0123456789");

		memcpy(digits, rest + 1, count);
		rest += 1 + count;
	}
	sscanf(rest + 1, "%2d:%2d", &offset[0], &offset[1]);
	seconds -= (*rest == '-' ? -60 : 60) * (offset[0] * 60 + offset[1]);
	if (leap)
	{
		seconds++;
		gmtime_r(&seconds, &fields);
		if (fields.tm_mday != 1 || fields.tm_hour != 0 || fields.tm_min != 0 || fields.tm_sec != 0)
			return false;
	}
	time = (__int128) seconds * 1000000000 + atoi(digits);
	*time_ns = (int64_t) time;
	return time >= INT64_MIN && time <= INT64_MAX;
}

/* The time of a member that is an integer or a string; false if it is none. */
static bool
time_of(struct json_object *time, int64_t *time_ns)
{
	if (json_object_is_type(time, json_type_int))
	{
		*time_ns = json_object_get_int64(time);
		return true;
	}
	return json_object_is_type(time, json_type_string) &&
		   time_of_text(json_object_get_string(time), json_object_get_string_len(time), time_ns);
}

/* Does json-c see a message?  The three members are borrowed from object. */
static bool
is_message(struct json_object *object, struct json_object **time, struct json_object **tag,
		   struct json_object **values)
{
	int length;
	size_t bytes;
	int64_t time_ns;
	bool has_nulls = false;

	if (!json_object_is_type(object, json_type_object) || json_object_object_length(object) != 3 ||
		!json_object_object_get_ex(object, "time", time) ||
		!json_object_object_get_ex(object, "tag", tag) ||
		!json_object_object_get_ex(object, "values", values) || !time_of(*time, &time_ns) ||
		!json_object_is_type(*tag, json_type_string) ||
		!json_object_is_type(*values, json_type_array))
		return false;
	length = json_object_get_string_len(*tag);
	if (length < 1 || length > MESSAGE_MAX_TAG_BYTES ||
		has_control(json_object_get_string(*tag), length) ||
		json_object_array_length(*values) > MESSAGE_MAX_VALUES)
		return false;
	for (size_t i = 0; i < json_object_array_length(*values); i++)
	{
		struct json_object *value = json_object_array_get_idx(*values, i);
		double number = json_object_get_double(value);

		if (json_object_is_type(value, json_type_null))
		{
			has_nulls = true;
			continue;
		}
		if (!json_object_is_type(value, json_type_int) &&
			!json_object_is_type(value, json_type_double))
			return false;
		if (!(number - number == 0)) /* NaN, infinities and what overflows to them */
			return false;
	}
	/* A row has 8 bytes a value, a bit a value beside a null, and the tag. */
	bytes = json_object_array_length(*values) * 8 + (size_t) length;
	if (has_nulls)
		bytes +=
			json_object_array_length(*values) / 8 + (json_object_array_length(*values) % 8 > 0);
	return bytes <= MESSAGE_MAX_ROW_BYTES;
}

/* The string that begins at text[i] ends before the position returned. */
static size_t
skip_string(const char *text, size_t length, size_t i)
{
	for (i++; i < length && text[i] != '"'; i++)
		i += text[i] == '\\';
	return i + 1;
}

/* Outside of strings: as many as there are fields. */
static int
count_colons(const char *text, size_t length)
{
	int count = 0;

	for (size_t i = 0; i < length; i++)
	{
		if (text[i] == '"')
			i = skip_string(text, length, i) - 1;
		else
			count += text[i] == ':';
	}
	return count;
}

/* Is every number in the text one by RFC 8259, outside of strings? */
static bool
numbers_valid(const char *text, size_t length)
{
	static regex_t number;
	static bool compiled;
	size_t i = 0;

	if (!compiled)
	{
		regcomp(&number, "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?$",
				REG_EXTENDED | REG_NOSUB);
		compiled = true;
	}
	while (i < length)
	{
		if (text[i] == '"')
			i = skip_string(text, length, i);
		else if (text[i] != '\0' && strchr("0123456789+-.eE", text[i]) != NULL)
		{
			size_t start = i;
			char *copy;
			bool match;

			while (i < length && text[i] != '\0' && strchr("0123456789+-.eE", text[i]) != NULL)
				i++;
			copy = strndup(text + start, i - start);
			match = regexec(&number, copy, 0, NULL, 0) == 0;
			free(copy);
			if (!match)
				return false;
		}
		else
			i++;
	}
	return true;
}

/* Has the text so many digits next to each other? */
static bool
has_digits(const char *text, size_t length, size_t count)
{
	size_t digits = 0;

	for (size_t i = 0; i < length; i++)
	{
		digits = text[i] >= '0' && text[i] <= '9' ? digits + 1 : 0;
		if (digits >= count)
			return true;
	}
	return false;
}

/* json-c refuses integers past 64 bits since 0.17; for JSON, and for a double, they are numbers. */
static bool
has_huge_integer(const char *text, size_t length)
{
	return has_digits(text, length, 19);
}

/* The cases in which the scanner may refuse what json-c takes. */
static bool
allowed_refusal(const char *text, size_t length, const MessageError *error)
{
	/* json-c keeps the last of several fields of the same name */
	if (count_colons(text, length) > 3)
		return true;
	/* json-c saturates integers past 64 bits, and takes unsigned ones */
	if (strstr(error->detail, "64-bit integer") != NULL)
		return true;
	/* and so also those that no double holds, which have at least 309 digits */
	if (strstr(error->detail, "64-bit floating point number") != NULL &&
		has_digits(text, length, 309))
		return true;
	/* json-c ends a field's name at a NUL */
	if (memmem(text, length, "\\u0000", 6) != NULL &&
		strstr(error->detail, "unknown field") != NULL)
		return true;
	/* json-c takes control characters in strings */
	for (size_t i = 0; i < length; i++)
	{
		if ((unsigned char) text[i] < ' ' && (strstr(error->detail, "control character") != NULL ||
											  strstr(error->detail, "valid string") != NULL))
			return true;
	}
	/* json-c replaces lone surrogates */
	if (strstr(error->detail, "invalid escape") != NULL ||
		strstr(error->detail, "not a valid string") != NULL)
		return memmem(text, length, "\\u", 2) != NULL;
	/* json-c takes some things that look like numbers, and control characters as white space */
	if (!numbers_valid(text, length))
		return true;
	for (size_t i = 0; i < length; i++)
	{
		if ((unsigned char) text[i] < ' ' && strchr("\t\n\r", text[i]) == NULL)
			return true;
	}
	return memchr(text, '\0', length) != NULL;
}

static const char *
compare_message(const Stage *stage, struct json_object *time, struct json_object *tag,
				struct json_object *values)
{
	const StagedMessage *message = (const StagedMessage *) stage->data;

	int64_t time_ns;

	if (!time_of(time, &time_ns) || message->time_ns != time_ns)
		return "time";
	if (message->tag_length != (uint32_t) json_object_get_string_len(tag) ||
		memcmp(staged_tag(message), json_object_get_string(tag), message->tag_length) != 0)
		return "tag";
	if (message->value_count != json_object_array_length(values))
		return "number of values";
	for (uint32_t i = 0; i < message->value_count; i++)
	{
		struct json_object *value = json_object_array_get_idx(values, i);
		double expected = json_object_get_double(value);

		if (json_object_is_type(value, json_type_null))
		{
			const uint64_t null = VALUE_NULL_BITS;

			if (memcmp(&null, &message->values[i], sizeof(null)) != 0)
				return "a null";
			continue;
		}
		if (json_object_is_type(value, json_type_int))
		{
			int64_t integer = json_object_get_int64(value);

			if (integer == INT64_MAX || integer == INT64_MIN)
				continue;
			if (integer == 0 && message->values[i] == 0)
				continue;
		}
		if (memcmp(&expected, &message->values[i], sizeof(double)) != 0)
			return "a value";
	}
	return NULL;
}

const char *
message_disagreement(const char *text, size_t length)
{
	const TimestampRules nanoseconds = timestamp_rules(1, false);
	static char report[256];
	Stage stage = {0};
	MessageError error = {0};
	const char *end = text + length;
	const char *cursor;
	ScanStatus status;
	struct json_object *object;
	struct json_object *time;
	struct json_object *tag;
	struct json_object *values;
	bool expected;
	const char *problem = NULL;

	/* The scanner begins at the brace; what stands before a message is its caller's. */
	while (length > 0 && *text != '\0' && strchr(" \t\n\r", *text) != NULL)
	{
		text++;
		length--;
	}
	cursor = text;
	status = message_scan(&stage, &cursor, end, &nanoseconds, NULL, &error);
	object = parse_whole(text, status == SCAN_OK ? (size_t) (cursor - text) : length);
	expected = object != NULL && is_message(object, &time, &tag, &values);
	if (status == SCAN_OK && !expected && !has_huge_integer(text, (size_t) (cursor - text)))
		problem = "the scanner takes what json-c refuses";
	else if (status == SCAN_OK && expected)
		problem = compare_message(&stage, time, tag, values);
	else if (expected && (status == SCAN_INCOMPLETE || !allowed_refusal(text, length, &error)))
	{
		snprintf(report, sizeof(report), "the scanner refuses what json-c takes: %s",
				 status == SCAN_INCOMPLETE ? "incomplete" : error.detail);
		problem = report;
	}

	/*
	 * A message cut short must be incomplete, whatever the cut; wrong text must not become right
	 * when cut.  That is what reading in pieces relies on.
	 */
	for (size_t cut = 0; problem == NULL && status == SCAN_OK && text + cut < cursor; cut++)
	{
		/* A copy of that size, so that a sanitizer sees a read past the end. */
		char *copy = malloc(cut + (cut == 0));
		const char *start = copy;

		memcpy(copy, text, cut);
		stage.length = 0;
		stage.count = 0;
		if (message_scan(&stage, &start, copy + cut, &nanoseconds, NULL, &error) !=
				SCAN_INCOMPLETE ||
			stage.count != 0)
		{
			snprintf(report, sizeof(report), "cut to %zu bytes it is not incomplete: %s", cut,
					 error.detail);
			problem = report;
		}
		free(copy);
	}
	json_object_put(object);
	free(stage.data);
	return problem;
}
