/*
 * route_export.c
 *	  GET /export: a tag's raw samples over a window, streamed.
 *
 * The rows come from COPY and are passed on as they come: COPY BINARY as PostgreSQL makes it, CSV
 * with times in the form that was asked for, and NDJSON from PostgreSQL's text form.  The memory
 * for that is one chunk here, the connection's output that is not written yet, and libpq's buffer:
 * if the client is slow, PostgreSQL waits.
 *
 * CSV with a column for each value (layout=wide) needs their number and names for its first line,
 * before the rows are read.  So a query asks for them first, which the tag's summaries answer.
 */
#include "routes/routes.h"

#include "base/number.h"
#include "http/http_answer.h"
#include "http/gzip.h"
#include "http/http_content.h"
#include "http/http_trace.h"
#include "database/pg_connection.h"
#include "routes/csv.h"
#include "routes/query.h"
#include "loop.h"

#include <inttypes.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536

typedef struct ExportFormat
{
	const char *name;
	const char *content_type;
	const char *columns;
	const char *copy_options;
} ExportFormat;

static const ExportFormat formats[] = {
	{"ndjson", "application/x-ndjson", "time, values", "FORMAT text"},
	{"csv", CSV_CONTENT_TYPE, "time, tag, values", "FORMAT csv, HEADER"},
	{"binary", "application/octet-stream", "time, tag, values", "FORMAT binary"},
};

/* With layout=wide.  The values' columns are added, and the header is written here. */
static const ExportFormat wide_csv = {"csv", CSV_CONTENT_TYPE, NULL, "FORMAT csv"};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))
#define NDJSON	(&formats[0])
#define CSV		(&formats[1])
#define BINARY	(&formats[2])

typedef struct Export
{
	QueryParameters parameters;
	const ExportFormat *format;
	int value_columns; /* of wide_csv */
	PgRead *stream;	   /* NULL after it has ended */
	Bytes tag_json;	   /* the text between time and values in NDJSON */
	Bytes chunk;	   /* rows that are not sent yet */
	bool gzipped;	   /* the client takes gzip */
	Gzip *gzip; /* once the answer has begun: exports that wait for a connection hold little */
	Bytes compressed; /* the chunk, compressed */
	bool begun;		  /* the answer has begun */
} Export;

static bool export_end(Exchange *exchange);
static void export_drained(Exchange *exchange);
static void export_release(Exchange *exchange);

const Route route_export = {
	.path = "/export",
	.metric = ROUTE_EXPORT,
	.access = ACCESS_READ,
	.alone = true,
	.end = export_end,
	.release = export_release,
	.drained = export_drained,
};

static bool check_parameters(Exchange *exchange, Export *export);
static void ask_columns(Exchange *exchange);
static void on_columns(void *argument, const QueryOutcome *outcome);
static void start_copy(Exchange *exchange);
static void put_copy(Bytes *sql, const char *table_sql, const Export *export);
static void begin(Exchange *exchange);
static bool send_chunk(Exchange *exchange, bool last);
static bool on_data(void *argument, const char *data, size_t length);
static void on_end(void *argument, const QueryOutcome *outcome);

static const StreamHandler handler = {on_data, on_end};

/* Begins; HEAD is answered without a query. */
static bool
export_end(Exchange *exchange)
{
	Export *export = memory_new(sizeof(Export));

	exchange->state = export;
	if (!query_parameters_read(exchange, &export->parameters,
							   QUERY_TAG | QUERY_START | QUERY_END | QUERY_FORMAT | QUERY_TIME |
								   QUERY_PRECISION | QUERY_COLUMNS | QUERY_LAYOUT | QUERY_COMMIT) ||
		!check_parameters(exchange, export))
		return true;
	export->gzipped = http_accepts_gzip(&exchange->request);
	if (exchange->request.method == HTTP_HEAD)
	{
		begin(exchange);
		http_stream_end(exchange);
		return true;
	}
	if (export->format == NDJSON)
	{
		bytes_puts(&export->tag_json, ",\"tag\":");
		bytes_json_string(&export->tag_json, export->parameters.tag,
						  strlen(export->parameters.tag));
		bytes_puts(&export->tag_json, ",\"values\":");
	}
	if (export->format == &wide_csv)
		ask_columns(exchange);
	else
		start_copy(exchange);
	return true;
}

/* Asks for the names of the columns, of as many values as a row of the window has at most. */
static void
ask_columns(Exchange *exchange)
{
	const Export *export = exchange->state;
	char after[24];
	char until[24];
	const char *arguments[] = {loop_of(exchange)->shared->config->table_sql, export->parameters.tag,
							   after, until};

	/* Samples are those of after < time <= until. */
	snprintf(after, sizeof(after), "%" PRId64,
			 export->parameters.start_ns == INT64_MIN ? INT64_MIN
													  : export->parameters.start_ns - 1);
	snprintf(until, sizeof(until), "%" PRId64,
			 export->parameters.end == NULL ? INT64_MAX : export->parameters.end_ns - 1);
	query_submit(exchange,
				 "SELECT unnest(historian.value_columns(coalesce(m.names, '{}'),"
				 " greatest(cardinality(m.names), cardinality(d.values), 0)))"
				 " FROM (SELECT $1::text::regclass AS relid, $2::text AS tag) t"
				 " LEFT JOIN historian.downsample(t.relid, t.tag, $3::bigint, $4::bigint, 1, "
				 "'count') d ON true"
				 " LEFT JOIN historian.tag m ON m.relid = t.relid AND m.tag = t.tag",
				 4, arguments, NULL, on_columns);
}

/* Writes the first line, and begins the COPY. */
static void
on_columns(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	Export *export = exchange->state;

	if (outcome->result == NULL)
	{
		query_answer_failure(exchange, outcome);
		return;
	}
	export->value_columns = PQntuples(outcome->result);
	bytes_puts(&export->chunk, "time,tag");
	for (int i = 0; i < export->value_columns; i++)
	{
		bytes_puts(&export->chunk, ",");
		csv_put_field(&export->chunk, PQgetvalue(outcome->result, i, 0));
	}
	bytes_puts(&export->chunk, "\n");
	start_copy(exchange);
}

static void
start_copy(Exchange *exchange)
{
	Loop *loop = loop_of(exchange);
	const Config *config = loop->shared->config;
	Export *export = exchange->state;
	QuerySource source = query_source(exchange);
	Bytes sql = {0};

	put_copy(&sql, config->table_sql, export);
	export->stream = pg_reads_stream(loop->reads, &source, export->parameters.min_commit,
									 bytes_text(&sql), &handler, exchange);
	bytes_free(&sql);
	if (export->stream == NULL)
		http_problem(exchange, 503, "too many queries are waiting (--max-queued-queries %llu)",
					 (unsigned long long) config->max_queued_queries);
}

static void
export_drained(Exchange *exchange)
{
	Export *export = exchange->state;

	if (export->stream != NULL)
		pg_read_resume(export->stream);
}

static void
export_release(Exchange *exchange)
{
	Export *export = exchange->state;

	if (export == NULL)
		return;
	if (export->stream != NULL)
		pg_read_cancel(export->stream);
	query_parameters_free(&export->parameters);
	bytes_free(&export->tag_json);
	bytes_free(&export->chunk);
	bytes_free(&export->compressed);
	gzip_free(export->gzip);
	free(export);
	exchange->state = NULL;
}

/*
 * Takes the parameter layout into account, or columns, which says the same in other words.  Only CSV
 * has them.
 */
static bool
check_layout(Exchange *exchange, Export *export)
{
	const QueryParameters *parameters = &export->parameters;
	const char *name = parameters->layout != NULL ? "layout" : "columns";
	const char *wide = parameters->layout != NULL ? "wide" : "named";
	const char *given = parameters->layout != NULL ? parameters->layout : parameters->columns;

	if (given == NULL)
		return true;
	if (parameters->layout != NULL && parameters->columns != NULL)
		http_problem(exchange, 400, "parameter \"columns\" says the same as \"layout\": give one");
	else if (strcmp(given, "array") != 0 && strcmp(given, wide) != 0)
		http_problem(exchange, 400, "parameter \"%s\" must be array or %s", name, wide);
	else if (strcmp(export->format->name, wide_csv.name) != 0)
		http_problem(exchange, 400, "parameter \"%s\" is only for format=csv", name);
	else
	{
		if (strcmp(given, wide) == 0)
			export->format = &wide_csv;
		return true;
	}
	return false;
}

/* If a parameter is missing or wrong, answers 400 and returns false. */
static bool
check_parameters(Exchange *exchange, Export *export)
{
	QueryParameters *parameters = &export->parameters;

	for (size_t i = 0; i < FORMATS; i++)
	{
		if (strcmp(parameters->format ? parameters->format : "ndjson", formats[i].name) == 0)
			export->format = &formats[i];
	}
	if (export->format == NULL)
		http_problem(exchange, 400, "parameter \"format\" must be csv, ndjson or binary");
	else if (parameters->tag == NULL)
		http_problem(exchange, 400, "parameter \"tag\" is missing");
	else if (export->format == BINARY &&
			 (parameters->times.unit_ns != 1 || parameters->time_form != TIME_FORM_INTEGER))
		http_problem(
			exchange, 400,
			"parameter \"%s\" cannot be %s with format=binary, whose times are integers of "
			"nanoseconds; start and end may be RFC 3339 times",
			parameters->times.unit_ns != 1 ? "precision" : "time",
			parameters->times.unit_ns != 1 ? "other than ns" : "other than integer");
	else if (check_layout(exchange, export))
		return query_read_window(exchange, parameters, true);
	return false;
}

/* Appends the COPY.  It has literals, because COPY takes no parameters. */
static void
put_copy(Bytes *sql, const char *table_sql, const Export *export)
{
	const QueryParameters *parameters = &export->parameters;

	bytes_puts(sql, "COPY (SELECT ");
	/* A row may have come since the columns were counted.  Its values must not be missing in silence. */
	if (export->format == &wide_csv)
		bytes_printf(
			sql,
			"CASE WHEN cardinality(values) > %d THEN ('export again: there is a new row with "
			"more values, of time ' || time)::bigint ELSE time END, tag",
			export->value_columns);
	else
		bytes_puts(sql, export->format->columns);
	for (int i = 1; i <= export->value_columns; i++)
		bytes_printf(sql, ", values[%d]", i);
	bytes_printf(sql, " FROM %s WHERE tag = ", table_sql);
	pg_put_literal(sql, parameters->tag);
	if (parameters->start != NULL)
		bytes_printf(sql, " AND time >= '%lld'::bigint", (long long) parameters->start_ns);
	if (parameters->end != NULL)
		bytes_printf(sql, " AND time < '%lld'::bigint", (long long) parameters->end_ns);
	bytes_printf(sql, " ORDER BY time) TO STDOUT (%s)", export->format->copy_options);
}

/* Appends a row as NDJSON.  Its text form is the time, a tab, the values or \N, and a line end. */
static void
put_line(Export *export, const char *row, size_t length)
{
	Bytes *chunk = &export->chunk;
	const char *tab = memchr(row, '\t', length);
	size_t time_length = tab ? (size_t) (tab - row) : length;
	const char *values = row + time_length + 1;

	bytes_puts(chunk, "{\"time\":");
	query_put_time(chunk, &export->parameters, row, time_length);
	bytes_append(chunk, export->tag_json.data, export->tag_json.length);
	if (tab == NULL || values[0] == '\\')
		bytes_puts(chunk, "null");
	else
		query_put_values(chunk, values, length - time_length - 2);
	bytes_puts(chunk, "}\n");
}

/*
 * Appends a line of CSV, whose first field is the time, or its name in the first line.  CSV has no
 * types, so that a time has no quotes in any form.
 */
static void
put_csv(Export *export, const char *line, size_t length)
{
	const char *rest = line;
	char text[TIMESTAMP_TEXT_BYTES];
	int64_t time_ns;

	if (number_int64(&rest, line + length, &time_ns) == NUMBER_OK)
	{
		query_write_time(&export->parameters, time_ns, text);
		bytes_puts(&export->chunk, text);
	}
	bytes_append(&export->chunk, rest, length - (size_t) (rest - line));
}

static bool
on_data(void *argument, const char *data, size_t length)
{
	Exchange *exchange = argument;
	Export *export = exchange->state;

	if (export->format == NDJSON)
		put_line(export, data, length);
	else if (export->format == CSV || export->format == &wide_csv)
		put_csv(export, data, length);
	else
		bytes_append(&export->chunk, data, length);
	return export->chunk.length < CHUNK_BYTES || send_chunk(exchange, false);
}

static void
begin(Exchange *exchange)
{
	Export *export = exchange->state;
	int64_t lag_ms;

	if (export->stream != NULL)
		http_note_lag(exchange, pg_read_lag(export->stream, &lag_ms) ? lag_ms : -1);
	http_stream_begin(exchange, export->format->content_type,
					  export->gzipped ? "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
									  : "Vary: Accept-Encoding\r\n");
	export->begun = true;
}

/* Sends the chunk, compressed if the client accepts that; false if the stream must pause. */
static bool
send_chunk(Exchange *exchange, bool last)
{
	Export *export = exchange->state;
	Bytes *chunk = &export->chunk;
	bool room;

	if (!export->begun)
		begin(exchange);
	if (export->gzipped)
	{
		if (export->gzip == NULL)
			export->gzip = gzip_new();
		gzip_add(export->gzip, &export->compressed, chunk->data, chunk->length, last);
		chunk->length = 0;
		chunk = &export->compressed;
	}
	exchange->route_bytes = export->chunk.capacity + export->compressed.capacity +
							(export->gzip != NULL ? GZIP_BYTES : 0);
	room = http_stream_send(exchange, chunk->data, chunk->length);
	chunk->length = 0;
	return room;
}

/* Ends the answer, or breaks it off if the COPY has failed after it began. */
static void
on_end(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	Export *export = exchange->state;
	QueryOutcome failure = *outcome;

	export->stream = NULL;
	if (!export->begun)
		http_note_lag(exchange, outcome->lag_known ? outcome->lag_ms : -1);
	if (outcome->result != NULL)
	{
		send_chunk(exchange, true);
		http_stream_end(exchange);
		return;
	}
	if (outcome->limit == 0 && strcmp(outcome->sqlstate, "57014") == 0)
		failure.message = "PostgreSQL sent nothing for too long (--query-timeout)";
	if (!export->begun)
	{
		query_answer_failure(exchange, &failure);
		return;
	}
	trace_cause(exchange, failure.sqlstate, failure.message);
	http_stream_break(exchange);
}
