/*
 * message_json.c
 *	  What message_scan.c leaves to json-c: strings with escapes, and where a refused value ends.
 *
 * None of this is on the hot path.  A lone surrogate must be refused, but json-c replaces it by
 * U+FFFD, so that escapes are checked before json-c gets the string.
 *
 * A tokener with JSON_TOKENER_STRICT is given ASCII only: json-c 0.18 takes other bytes for control
 * characters and refuses the string (its issue 875).
 */
#include "ingest/message_json.h"

#include <json-c/json.h>

#include <stdlib.h>
#include <string.h>

/* The value of four hexadecimal digits, or -1. */
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

/* Are all escapes those of RFC 8259, and do surrogates come in pairs? */
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
	/* The text is parsed in pieces, because it may go on far after a short value. */
	for (size_t done = 0; error == json_tokener_continue && done < length;)
	{
		char ascii[256];
		size_t n = length - done < sizeof(ascii) ? length - done : sizeof(ascii);

		/* The extent stays the same if a letter replaces each byte that is not ASCII. */
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
