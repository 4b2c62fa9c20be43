/*
 * tag_input.c
 *	  Checks the body of PUT /tags/{tag} before PostgreSQL gets it.
 *
 * PostgreSQL alone would not do: jsonb keeps the last of two members with the same name, and a row
 * made of jsonb takes any text that reads as a column's type, so that the string "{1,2}" would be an
 * array of numbers.  json-c forgets earlier members, too.  Therefore the object is scanned here, and
 * json-c parses each value.
 */
#include "routes/tag_input.h"

#include "base/memory.h"
#include "ingest/message_json.h"

#include <json-c/json.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum MemberKind
{
	KIND_TEXT,
	KIND_LENGTH, /* a string or a number */
	KIND_TEXTS,
	KIND_NUMBERS,
	KIND_IGNORED,
} MemberKind;

static const struct
{
	const char *name;
	MemberKind kind;
} members[] = {
	{"description", KIND_TEXT}, {"interpolation", KIND_TEXT}, {"max_silence", KIND_LENGTH},
	{"names", KIND_TEXTS},		{"units", KIND_TEXTS},		  {"low", KIND_NUMBERS},
	{"high", KIND_NUMBERS},		{"tag", KIND_IGNORED},		  {"first", KIND_IGNORED},
	{"last", KIND_IGNORED},		{"samples", KIND_IGNORED},	  {"bytes", KIND_IGNORED},
	{"learned", KIND_IGNORED},	{"segments", KIND_IGNORED},
};

#define MEMBERS ((int) (sizeof(members) / sizeof(members[0])))

typedef struct Scan
{
	const char *text;
	char *
		ascii; /* the text with a letter for each byte that is not ASCII, for json-c (message_json.c) */
	size_t length;
	size_t place;
	unsigned seen; /* a bit for each member */
	struct json_tokener *tokener;
	TagInputError *error;
} Scan;

static bool scan_object(Scan *scan);
static bool scan_member(Scan *scan);
static bool scan_value(Scan *scan, const char *field, struct json_object **value);
static bool check_value(Scan *scan, int member, struct json_object *value);

static bool __attribute__((format(printf, 3, 4)))
wrong(Scan *scan, const char *field, const char *format, ...)
{
	va_list args;

	scan->error->field = field;
	va_start(args, format);
	vsnprintf(scan->error->detail, sizeof(scan->error->detail), format, args);
	va_end(args);
	return false;
}

bool
tag_input_check(const char *text, size_t length, TagInputError *error)
{
	Scan scan = {.text = text, .length = length, .error = error};
	bool good;

	scan.tokener = json_tokener_new();
	if (scan.tokener == NULL)
		return wrong(&scan, NULL, "there is no memory for the body");
	json_tokener_set_flags(scan.tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	scan.ascii = memory_new_raw(length + 1);
	for (size_t i = 0; i < length; i++)
		scan.ascii[i] = (unsigned char) text[i] < 0x80 ? text[i] : 'x';
	good = scan_object(&scan);
	free(scan.ascii);
	json_tokener_free(scan.tokener);
	return good;
}

/* Moves to the next byte that is not white space, and returns it; '\0' at the end. */
static char
next(Scan *scan)
{
	while (scan->place < scan->length && strchr(" \t\r\n", scan->text[scan->place]) != NULL)
		scan->place++;
	return scan->place < scan->length ? scan->text[scan->place] : '\0';
}

static bool
broken(Scan *scan, const char *field, const char *why)
{
	if (scan->place >= scan->length)
		return wrong(scan, field, "the body is not JSON: it ends too early, after %zu bytes",
					 scan->length);
	return wrong(scan, field, "the body is not JSON: byte %zu %s", scan->place + 1, why);
}

static bool
scan_object(Scan *scan)
{
	char separator;

	if (next(scan) == '\0')
		return wrong(scan, NULL, "the body is empty; it must be a JSON object");
	if (next(scan) != '{')
		return wrong(scan, NULL, "the body must be a JSON object");
	scan->place++;
	if (next(scan) == '}')
		scan->place++;
	else
	{
		do
		{
			if (!scan_member(scan))
				return false;
			separator = next(scan);
			scan->place++;
		} while (separator == ',');
	}
	return next(scan) == '\0' || broken(scan, NULL, "is after the end of the object");
}

/* Scans "name": value, which a comma or a closing brace follows. */
static bool
scan_member(Scan *scan)
{
	char name[32];
	struct json_object *value;
	int member = 0;
	int length;
	size_t start;
	const char *field;
	bool good;

	if (next(scan) != '"')
		return broken(scan, NULL, "does not begin the name of a member");
	start = scan->place;
	if (!scan_value(scan, NULL, &value))
		return false;
	json_object_put(value);
	length = message_json_string(scan->text + start, scan->place - start, name, sizeof(name));
	if (length == -1)
	{
		scan->place = start;
		return broken(scan, NULL, "begins a string that is none");
	}
	while (member < MEMBERS && ((size_t) length != strlen(members[member].name) ||
								memcmp(members[member].name, name, (size_t) length) != 0))
		member++;
	field = member < MEMBERS ? members[member].name : NULL;
	if (next(scan) != ':')
		return broken(scan, field, "is no colon");
	scan->place++;
	next(scan);
	if (!scan_value(scan, field, &value))
		return false;
	if (next(scan) != ',' && next(scan) != '}')
		good = broken(scan, field, "is neither a comma nor a closing brace");
	else if (field == NULL)
		good = true; /* PostgreSQL says what members there are */
	else if ((scan->seen & 1u << member) != 0)
		good = wrong(scan, field, "member \"%s\" is given twice", field);
	else
		good = check_value(scan, member, value);
	if (field != NULL)
		scan->seen |= 1u << member;
	json_object_put(value);
	return good;
}

/* Parses the value at the place, and moves behind it. */
static bool
scan_value(Scan *scan, const char *field, struct json_object **value)
{
	enum json_tokener_error error;

	if (scan->place >= scan->length)
		return broken(scan, field, "");
	json_tokener_reset(scan->tokener);
	*value = json_tokener_parse_ex(scan->tokener, scan->ascii + scan->place,
								   (int) (scan->length - scan->place));
	error = json_tokener_get_error(scan->tokener);
	scan->place = error == json_tokener_continue
					  ? scan->length
					  : scan->place + json_tokener_get_parse_end(scan->tokener);
	if (error == json_tokener_success)
		return true;
	if (error == json_tokener_error_depth)
		return broken(scan, field, "is nested too deeply");
	return broken(scan, field, "does not belong there");
}

static bool
is_number(struct json_object *value)
{
	return json_object_is_type(value, json_type_int) ||
		   json_object_is_type(value, json_type_double);
}

static bool
check_array(Scan *scan, int member, struct json_object *array)
{
	const char *name = members[member].name;
	bool numbers = members[member].kind == KIND_NUMBERS;

	if (!json_object_is_type(array, json_type_array))
		return wrong(scan, name, "%s is neither an array of %s nor null", name,
					 numbers ? "numbers" : "strings");
	for (size_t i = 0; i < json_object_array_length(array); i++)
	{
		struct json_object *element = json_object_array_get_idx(array, i);

		if (element == NULL)
			continue;
		if (!(numbers ? is_number(element) : json_object_is_type(element, json_type_string)))
			return wrong(scan, name, "%s[%zu] is neither a JSON %s nor null", name, i,
						 numbers ? "number" : "string");
		if (numbers && !isfinite(json_object_get_double(element)))
			return wrong(scan, name, "%s[%zu] is not a finite float64", name, i);
	}
	return true;
}

/* Has the member a value of its type?  null stands for nothing in each. */
static bool
check_value(Scan *scan, int member, struct json_object *value)
{
	const char *name = members[member].name;

	if (value == NULL)
		return true;
	switch (members[member].kind)
	{
		case KIND_TEXT:
			return json_object_is_type(value, json_type_string) ||
				   wrong(scan, name, "%s is neither a string nor null", name);
		case KIND_LENGTH:
			return json_object_is_type(value, json_type_string) || is_number(value) ||
				   wrong(scan, name, "%s is neither a string, nor a number, nor null", name);
		case KIND_TEXTS:
		case KIND_NUMBERS:
			return check_array(scan, member, value);
		case KIND_IGNORED:
			break;
	}
	return true;
}
