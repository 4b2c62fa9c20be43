/*
 * export_copy.c
 *	  The formats of exports that are made of what COPY writes.
 *
 * COPY BINARY is passed on as PostgreSQL makes it, CSV with times in the form that was asked for.
 * NDJSON is made of PostgreSQL's text form.
 */
#include "routes/export_copy.h"

#include "base/number.h"
#include "routes/csv.h"

#include <stdlib.h>
#include <string.h>

typedef struct Encoder
{
	const ExportRequest *request;
	Bytes tag;		/* of the last row of NDJSON, as COPY's text form has it */
	Bytes tag_json; /* the text that it makes between time and values */
} Encoder;

static void *
begin(const ExportRequest *request, const PGresult *names, Bytes *out)
{
	Encoder *encoder = memory_new(sizeof(Encoder));

	(void) names;
	(void) out;
	encoder->request = request;
	return encoder;
}

static void
free_encoder(void *argument)
{
	Encoder *encoder = argument;

	bytes_free(&encoder->tag);
	bytes_free(&encoder->tag_json);
	free(encoder);
}

static void
put_all_columns(Bytes *sql, const ExportRequest *request)
{
	(void) request;
	bytes_puts(sql, "time, tag, values");
}

/* NDJSON. */

static void
put_tag(Encoder *encoder, const char *tag, size_t length)
{
	bytes_puts(&encoder->tag_json, ",\"tag\":");
	bytes_json_string(&encoder->tag_json, tag, length);
	bytes_puts(&encoder->tag_json, ",\"values\":");
}

/* One tag is known, and need not come with each row. */
static void
put_ndjson_columns(Bytes *sql, const ExportRequest *request)
{
	bytes_puts(sql, request->parameters->tag_count == 1 ? "time, values" : "time, tag, values");
}

static void *
begin_ndjson(const ExportRequest *request, const PGresult *names, Bytes *out)
{
	Encoder *encoder = begin(request, names, out);
	const char *tag = request->parameters->tag;

	if (request->parameters->tag_count == 1)
		put_tag(encoder, tag, strlen(tag));
	return encoder;
}

/* Makes the JSON of the next tag, from COPY's text form, which has control characters escaped. */
static void
change_tag(Encoder *encoder, const char *text, size_t length)
{
	static const char letters[] = "bfnrtv";
	static const char controls[] = "\b\f\n\r\t\v";
	Bytes tag = {0};

	for (size_t i = 0; i < length; i++)
	{
		const char *letter = NULL;

		if (text[i] == '\\' && i + 1 < length)
			letter = memchr(letters, text[++i], sizeof(letters) - 1);
		bytes_append(&tag, letter != NULL ? &controls[letter - letters] : &text[i], 1);
	}
	encoder->tag.length = 0;
	bytes_append(&encoder->tag, text, length);
	encoder->tag_json.length = 0;
	put_tag(encoder, tag.data, tag.length);
	bytes_free(&tag);
}

/*
 * Appends a row.  Its text form is the time, the tag if there may be several, and the values or \N,
 * with a tab between them and a line end.
 */
static bool
take_ndjson(void *argument, const char *row, size_t length, Bytes *out)
{
	Encoder *encoder = argument;
	const char *end = row + length - (length > 0);
	const char *tab = memchr(row, '\t', length);
	const char *time_end = tab != NULL ? tab : end;

	if (encoder->request->parameters->tag_count != 1 && tab != NULL)
	{
		const char *tag = tab + 1;
		size_t tag_length;

		tab = memchr(tag, '\t', (size_t) (end - tag));
		tag_length = (size_t) ((tab != NULL ? tab : end) - tag);
		if (tag_length != encoder->tag.length || memcmp(tag, encoder->tag.data, tag_length) != 0)
			change_tag(encoder, tag, tag_length);
	}
	bytes_puts(out, "{\"time\":");
	query_put_time(out, encoder->request->parameters, row, (size_t) (time_end - row));
	bytes_append(out, encoder->tag_json.data, encoder->tag_json.length);
	if (tab == NULL || tab[1] == '\\')
		bytes_puts(out, "null");
	else
		query_put_values(out, tab + 1, (size_t) (end - tab) - 1);
	bytes_puts(out, "}\n");
	return true;
}

const ExportFormat export_copy_ndjson = {
	.name = "ndjson",
	.content_type = "application/x-ndjson",
	.copy_options = "FORMAT text",
	.put_columns = put_ndjson_columns,
	.begin = begin_ndjson,
	.take = take_ndjson,
	.free = free_encoder,
};

/* CSV. */

/*
 * Appends a line, whose first field is the time, or its name in the first line.  CSV has no types,
 * so that a time has no quotes in any form.
 */
static bool
take_csv(void *argument, const char *line, size_t length, Bytes *out)
{
	const Encoder *encoder = argument;
	const char *rest = line;
	char text[TIMESTAMP_TEXT_BYTES];
	int64_t time_ns;

	if (number_int64(&rest, line + length, &time_ns) == NUMBER_OK)
	{
		query_write_time(encoder->request->parameters, time_ns, text);
		bytes_puts(out, text);
	}
	bytes_append(out, rest, length - (size_t) (rest - line));
	return true;
}

const ExportFormat export_copy_csv = {
	.name = "csv",
	.content_type = CSV_CONTENT_TYPE,
	.copy_options = "FORMAT csv, HEADER",
	.put_columns = put_all_columns,
	.begin = begin,
	.take = take_csv,
	.free = free_encoder,
};

/*
 * A row may have come since the columns were counted.  Its values must not be missing in silence.  The
 * first column must not be named time: ORDER BY would mean it, and sort all rows, instead of the
 * table's own column, in whose order they come.
 */
static void
put_wide_columns(Bytes *sql, const ExportRequest *request)
{
	bytes_printf(sql,
				 "CASE WHEN cardinality(values) > %d THEN ('export again: there is a new row with "
				 "more values, of time ' || time)::bigint ELSE time END AS checked, tag",
				 request->value_columns);
	for (int i = 1; i <= request->value_columns; i++)
		bytes_printf(sql, ", values[%d]", i);
}

static void *
begin_wide_csv(const ExportRequest *request, const PGresult *names, Bytes *out)
{
	bytes_puts(out, "time,tag");
	for (int i = 0; i < request->value_columns; i++)
	{
		bytes_puts(out, ",");
		csv_put_field(out, PQgetvalue(names, i, 0));
	}
	bytes_puts(out, "\n");
	return begin(request, names, out);
}

const ExportFormat export_copy_wide_csv = {
	.name = "csv",
	.content_type = CSV_CONTENT_TYPE,
	.copy_options = "FORMAT csv",
	.asks_names = true,
	.put_columns = put_wide_columns,
	.begin = begin_wide_csv,
	.take = take_csv,
	.free = free_encoder,
};

/* Binary. */

static bool
take_binary(void *argument, const char *piece, size_t length, Bytes *out)
{
	(void) argument;
	bytes_append(out, piece, length);
	return true;
}

const ExportFormat export_copy_binary = {
	.name = "binary",
	.content_type = "application/octet-stream",
	.copy_options = "FORMAT binary",
	.nanoseconds = true,
	.put_columns = put_all_columns,
	.begin = begin,
	.take = take_binary,
	.free = free_encoder,
};
