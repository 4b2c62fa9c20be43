/*
 * csv.c
 *	  CSV with a column for each value: RFC 4180, but with the line ends of COPY.
 */
#include "routes/csv.h"

#include <string.h>

void
csv_put_field(Bytes *out, const char *text)
{
	if (strpbrk(text, ",\"\r\n") == NULL)
	{
		bytes_puts(out, text);
		return;
	}
	bytes_puts(out, "\"");
	for (; *text != '\0'; text++)
	{
		bytes_append(out, text, 1);
		if (*text == '"')
			bytes_append(out, text, 1);
	}
	bytes_puts(out, "\"");
}

void
csv_put_values(Bytes *out, const char *array, int columns)
{
	const char *value = array != NULL ? array + 1 : "}";

	for (int i = 0; i < columns; i++)
	{
		size_t length = strcspn(value, ",}");

		bytes_puts(out, ",");
		if (length != 4 || memcmp(value, "NULL", 4) != 0)
			bytes_append(out, value, length);
		value += length;
		value += *value == ',';
	}
}
