/*
 * message_json.c
 *	  What the scanner leaves to json-c: strings with escapes, and where a refused value ends.
 *
 * None of this is on the hot path.  json-c replaces a lone surrogate by U+FFFD where we must
 * refuse it, hence the look at \u before it gets the string.
 *
 * JSON_TOKENER_STRICT never meets a byte past ASCII: json-c 0.18 takes it for a control character and
 * refuses the string (its issue 875).
 */
#include "ingest/message_json.h"

#include <json-c/json.h>

#include <stdlib.h>
#include <string.h>

static int
hex_value(const char *c, const char *end)
{
	int value = 0;

	if (end - c < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char lower = (char) (c[i] | 0x20);

		if (c[i] >= '0' && c[i] <= '9')
			value = value * 16 + c[i] - '0';
		else if (lower >= 'a' && lower <= 'f')
			value = value * 16 + lower - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* Are the escapes RFC 8259's, and do surrogates come in pairs? */
static bool
escapes_valid(const char *c, const char *end)
{
	for (; c < end; c++)
	{
		int unit;

		if (*c != '\\')
			continue;
		if (++c == end || strchr("\"\\/bfnrtu", *c) == NULL || *c == '\0')
			return false;
		if (*c != 'u')
			continue;
		unit = hex_value(c + 1, end);
		c += 4;
		if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
			return false;
		if (unit >= 0xD800 && unit <= 0xDBFF)
		{
			if (end - c < 3 || c[1] != '\\' || c[2] != 'u')
				return false;
			unit = hex_value(c + 3, end);
			if (unit < 0xDC00 || unit > 0xDFFF)
				return false;
			c += 6;
		}
	}
	return true;
}

int
message_json_string(const char *quoted, size_t length, char *decoded, size_t capacity)
{
	struct json_tokener *tokener;
	struct json_object *object;
	int result = -1;

	if (length < 2 || length > INT32_MAX || !escapes_valid(quoted + 1, quoted + length - 1))
		return -1;

	tokener = json_tokener_new();
	if (tokener == NULL)
		return -1;
	json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, quoted, (int) length);
	if (json_object_is_type(object, json_type_string))
	{
		result = json_object_get_string_len(object);
		if ((size_t) result > capacity)
			result = -2;
		else
			memcpy(decoded, json_object_get_string(object), (size_t) result);
	}
	json_object_put(object);
	json_tokener_free(tokener);
	return result;
}

JsonExtent
message_json_extent(const char *text, size_t length, size_t *extent)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object = NULL;
	enum json_tokener_error error = json_tokener_continue;

	if (tokener == NULL)
		return JSON_INVALID;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	/* In pieces: the text may go on far behind a value of one byte, and then come again. */
	for (size_t done = 0; error == json_tokener_continue && done < length;)
	{
		char ascii[256];
		size_t n = length - done < sizeof(ascii) ? length - done : sizeof(ascii);

		/* How far a value reaches is the same with a letter for each byte past ASCII. */
		for (size_t i = 0; i < n; i++)
			ascii[i] = (unsigned char) text[done + i] < 0x80 ? text[done + i] : 'x';
		object = json_tokener_parse_ex(tokener, ascii, (int) n);
		error = json_tokener_get_error(tokener);
		*extent = done + json_tokener_get_parse_end(tokener);
		done += n;
	}
	json_object_put(object);
	json_tokener_free(tokener);
	return error == json_tokener_success	? JSON_COMPLETE
		   : error == json_tokener_continue ? JSON_INCOMPLETE
											: JSON_INVALID;
}
