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
	Bytes tag_json; /* the text between time and values in NDJSON */
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
put_ndjson_columns(Bytes *sql, const ExportRequest *request)
{
	(void) request;
	bytes_puts(sql, "time, values");
}

static void *
begin_ndjson(const ExportRequest *request, const PGresult *names, Bytes *out)
{
	Encoder *encoder = begin(request, names, out);
	const char *tag = request->parameters->tag;

	bytes_puts(&encoder->tag_json, ",\"tag\":");
	bytes_json_string(&encoder->tag_json, tag, strlen(tag));
	bytes_puts(&encoder->tag_json, ",\"values\":");
	return encoder;
}

/* Appends a row.  Its text form is the time, a tab, the values or \N, and a line end. */
static void
take_ndjson(void *argument, const char *row, size_t length, Bytes *out)
{
	const Encoder *encoder = argument;
	const char *tab = memchr(row, '\t', length);
	size_t time_length = tab ? (size_t) (tab - row) : length;
	const char *values = row + time_length + 1;

	bytes_puts(out, "{\"time\":");
	query_put_time(out, encoder->request->parameters, row, time_length);
	bytes_append(out, encoder->tag_json.data, encoder->tag_json.length);
	if (tab == NULL || values[0] == '\\')
		bytes_puts(out, "null");
	else
		query_put_values(out, values, length - time_length - 2);
	bytes_puts(out, "}\n");
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
static void
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

/* A row may have come since the columns were counted.  Its values must not be missing in silence. */
static void
put_wide_columns(Bytes *sql, const ExportRequest *request)
{
	bytes_printf(sql,
				 "CASE WHEN cardinality(values) > %d THEN ('export again: there is a new row with "
				 "more values, of time ' || time)::bigint ELSE time END, tag",
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

static void
take_binary(void *argument, const char *piece, size_t length, Bytes *out)
{
	(void) argument;
	bytes_append(out, piece, length);
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
