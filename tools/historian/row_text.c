/*
 * row_text.c
 *	  Rows as text: CSV with one column a value, and NDJSON.
 */
#include "row_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "options.h"

void
row_text_set_time(TimeText *form, const char *option, const char *word)
{
	static const char *const words[] = {"integer", "rfc3339", NULL};

	form->rfc3339 = option_word(option, word, words) == 1;
}

void
row_text_put_time(Bytes *out, const TimeText *form, const char *text, bool quotes)
{
	int64_t time_ns = strtoll(text, NULL, 10);
	char written[TIMESTAMP_TEXT_BYTES];

	if (!form->rfc3339)
	{
		bytes_printf(out, "%lld", (long long) timestamp_in_unit(time_ns, form->unit_ns));
		return;
	}
	timestamp_write_rfc3339(time_ns, written);
	bytes_printf(out, quotes ? "\"%s\"" : "%s", written);
}

void
row_text_put_cell(Bytes *out, const char *text, size_t length)
{
	if (memchr(text, ',', length) == NULL && memchr(text, '"', length) == NULL &&
		memchr(text, '\n', length) == NULL && memchr(text, '\r', length) == NULL)
	{
		bytes_append(out, text, length);
		return;
	}
	bytes_puts(out, "\"");
	for (size_t i = 0; i < length; i++)
	{
		bytes_append(out, text + i, 1);
		if (text[i] == '"')
			bytes_puts(out, "\"");
	}
	bytes_puts(out, "\"");
}

void
row_text_put_array(Bytes *out, const char *text, size_t length)
{
	/* What is longer: NaN becomes null. */
	char *to = bytes_reserve(out, length + length / 3 + 8);
	char *start = to;

	for (size_t i = 0; i < length; i++)
	{
		char c = text[i];

		if (c == '{')
			*to++ = '[';
		else if (c == '}')
			*to++ = ']';
		else if (c == 'N' || c == 'I' || (c == '-' && text[i + 1] == 'I'))
		{
			memcpy(to, "null", 4);
			to += 4;
			while (i + 1 < length && text[i + 1] != ',' && text[i + 1] != '}')
				i++;
		}
		else
			*to++ = c;
	}
	out->length += (size_t) (to - start);
}

void
row_text_put_object(Bytes *out, const TimeText *form, const char *time, const char *tag,
					size_t tag_length, const char *values, size_t values_length)
{
	bytes_puts(out, "{\"time\":");
	row_text_put_time(out, form, time, true);
	bytes_puts(out, ",\"tag\":");
	bytes_json_string(out, tag, tag_length);
	bytes_puts(out, ",\"values\":");
	row_text_put_array(out, values, values_length);
	bytes_puts(out, "}\n");
}
