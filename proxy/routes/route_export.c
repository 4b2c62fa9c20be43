/*
 * route_export.c
 *	  GET /export: raw samples of tags over a window, streamed.
 *
 * The rows come from COPY, and a format (export_format.h) makes the answer of them as they come.
 * The memory for that is one chunk here, the connection's output that is not written yet, and
 * libpq's buffer: if the client is slow, PostgreSQL waits.  A format may make a long chunk at once.
 * It is compressed in pieces, in fair turns.
 *
 * One query reads all of it, in one snapshot, in the order of the tags' bytes and of time.  This is
 * the order in which PostgreSQL finds them, so that it sorts nothing, and a client that was cut off
 * can go on after the last row that it has.
 *
 * Two questions may come before.  If several tags are named, one asks whether all of them were ever
 * stored.  CSV with a column for each value (layout=wide) needs their number and names for its first
 * line, before the rows are read, which the tags' summaries answer.
 */
#include "routes/routes.h"

#include "http/http_answer.h"
#include "http/gzip.h"
#include "http/http_content.h"
#include "http/http_trace.h"
#include "database/pg_connection.h"
#include "routes/export_arrow.h"
#include "routes/export_copy.h"
#include "routes/query.h"
#include "loop.h"

#include <inttypes.h>
#include <llhttp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES                                                                                \
	57344 /* with one more row, most are still below 64 KiB, to which the buffer grows */

static const ExportFormat *const formats[] = {
	&export_copy_ndjson,
	&export_copy_csv,
	&export_copy_binary,
	&export_arrow,
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

typedef struct Export
{
	QueryParameters parameters;
	Exchange *exchange;
	const ExportFormat *format;
	ExportRequest request;
	void *encoder;	/* of the format; NULL until the COPY is submitted */
	PgRead *stream; /* NULL after it has ended */
	Bytes chunk;	/* rows that are not sent yet */
	size_t sent;	/* how much of it is */
	TurnTask task;	/* goes on to send the chunk */
	bool gzipped;	/* the client takes gzip */
	Gzip *gzip;		/* once the answer has begun: exports that wait for a connection hold little */
	Bytes compressed; /* the chunk, compressed */
	bool begun;		  /* the answer has begun */
	int64_t after_ns; /* of after_tag, the rows after this time */
	bool ending;	  /* after the chunk it ends */
	bool broken;	  /* PostgreSQL has sent what the format does not know */
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

/* The columns of the tags t, of which $4 is a list, or $4 and $5 are prefixes. */
#define COLUMNS_SQL(tags)                                                                          \
	"SELECT unnest(historian.value_columns(n.names, n.columns)) FROM (SELECT"                      \
	" CASE WHEN count(DISTINCT m.names) = 1 THEN min(m.names) ELSE '{}' END AS names,"             \
	" greatest(max(cardinality(m.names)), max(cardinality(d.values)), 0) AS columns"               \
	" FROM " tags " LEFT JOIN historian.downsample($1::text::regclass, t.tag, $2::bigint,"         \
	" $3::bigint, 1, 'count') d ON true"                                                           \
	" LEFT JOIN historian.tag m ON m.relid = $1::text::regclass AND m.tag = t.tag) n"
#define NAMED_COLUMNS_SQL COLUMNS_SQL("unnest($4::text[]) t(tag)")
#define FOUND_COLUMNS_SQL                                                                          \
	COLUMNS_SQL("(SELECT tag FROM historian.tags($1::text::regclass)"                              \
				" WHERE starts_with(tag, $4::text) AND starts_with(tag, $5::text)) t")

static bool check_parameters(Exchange *exchange, Export *export);
static bool check_selection(Exchange *exchange, const QueryParameters *parameters);
static void ask_missing(Exchange *exchange);
static void on_missing(void *argument, const QueryOutcome *outcome);
static void ask_columns(Exchange *exchange);
static void on_columns(void *argument, const QueryOutcome *outcome);
static void start_copy(Exchange *exchange, const PGresult *names);
static void put_copy(Bytes *sql, const char *table_sql, const Export *export);
static void begin(Exchange *exchange);
static Turns *turns_of(Exchange *exchange);
static void count_memory(Exchange *exchange);
static bool send_chunk(Exchange *exchange);
static void go_on(Exchange *exchange);
static void run_task(TurnTask *task);
static bool on_data(void *argument, const char *data, size_t length);
static void on_end(void *argument, const QueryOutcome *outcome);

static const StreamHandler handler = {on_data, on_end};

/* Begins; HEAD is answered without a query. */
static bool
export_end(Exchange *exchange)
{
	Export *export = memory_new(sizeof(Export));

	exchange->state = export;
	export->exchange = exchange;
	export->task.run = run_task;
	if (!query_parameters_read(exchange, &export->parameters,
							   QUERY_TAGS | QUERY_PREFIX | QUERY_ALL | QUERY_AFTER | QUERY_START |
								   QUERY_END | QUERY_FORMAT | QUERY_TIME | QUERY_PRECISION |
								   QUERY_COLUMNS | QUERY_LAYOUT | QUERY_COMMIT) ||
		!check_parameters(exchange, export))
		return true;
	export->gzipped = http_accepts_gzip(&exchange->request);
	if (exchange->request.method == HTTP_HEAD)
	{
		begin(exchange);
		http_stream_end(exchange);
		return true;
	}
	if (export->parameters.tag_count > 1)
		ask_missing(exchange);
	else
		ask_columns(exchange);
	return true;
}

/* Asks which of several tags have no rows at all. */
static void
ask_missing(Exchange *exchange)
{
	const Export *export = exchange->state;
	const char *arguments[] = {export->parameters.tag_array.data};
	Bytes sql = {0};

	/* The limit makes it a lookup of each tag, and never a join that reads the table. */
	bytes_printf(&sql,
				 "SELECT t.tag FROM unnest($1::text[]) WITH ORDINALITY AS t(tag, place)"
				 " WHERE (SELECT true FROM %s AS m WHERE m.tag = t.tag LIMIT 1) IS NULL"
				 " ORDER BY t.place",
				 loop_of(exchange)->shared->config->table_sql);
	query_submit(exchange, bytes_text(&sql), 1, arguments, NULL, on_missing);
	bytes_free(&sql);
}

static void
on_missing(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	const char *comma = "";
	Bytes names = {0};

	if (outcome->result == NULL)
		query_answer_failure(exchange, outcome);
	else if (PQntuples(outcome->result) == 0)
		ask_columns(exchange);
	else
	{
		for (int i = 0; i < PQntuples(outcome->result); i++)
		{
			bytes_printf(&names, "%s\"%s\"", comma, PQgetvalue(outcome->result, i, 0));
			comma = ", ";
		}
		http_problem(exchange, 404, "parameter \"tag\": never stored: %s", bytes_text(&names));
	}
	bytes_free(&names);
}

/*
 * Asks for the names of the columns, of as many values as a row of the window has at most; or begins
 * the COPY, if the format has none.  If the tags have different names for their values, none counts.
 */
static void
ask_columns(Exchange *exchange)
{
	const Export *export = exchange->state;
	const QueryParameters *parameters = &export->parameters;
	char after[24];
	char until[24];
	const char *arguments[] = {loop_of(exchange)->shared->config->table_sql, after, until,
							   parameters->prefix ? parameters->prefix : "",
							   exchange->principal->prefix};
	bool named = parameters->tag_count > 0;

	if (!export->format->asks_names)
	{
		start_copy(exchange, NULL);
		return;
	}
	/* Samples are those of after < time <= until. */
	snprintf(after, sizeof(after), "%" PRId64,
			 parameters->start_ns == INT64_MIN ? INT64_MIN : parameters->start_ns - 1);
	snprintf(until, sizeof(until), "%" PRId64,
			 parameters->end == NULL ? INT64_MAX : parameters->end_ns - 1);
	if (named)
		arguments[3] = parameters->tag_array.data;
	query_submit(exchange, named ? NAMED_COLUMNS_SQL : FOUND_COLUMNS_SQL, named ? 4 : 5, arguments,
				 NULL, on_columns);
}

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
	export->request.value_columns = PQntuples(outcome->result);
	start_copy(exchange, outcome->result);
}

static void
start_copy(Exchange *exchange, const PGresult *names)
{
	Loop *loop = loop_of(exchange);
	const Config *config = loop->shared->config;
	Export *export = exchange->state;
	QuerySource source = query_source(exchange);
	Bytes sql = {0};

	export->encoder = export->format->begin(&export->request, names, &export->chunk);
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
	go_on(exchange);
}

static void
export_release(Exchange *exchange)
{
	Export *export = exchange->state;

	if (export == NULL)
		return;
	turn_unqueue(&export->task);
	if (export->stream != NULL)
		pg_read_cancel(export->stream);
	if (export->encoder != NULL)
		export->format->free(export->encoder);
	query_parameters_free(&export->parameters);
	bytes_free(&export->chunk);
	bytes_free(&export->compressed);
	gzip_free(export->gzip);
	free(export);
	exchange->state = NULL;
}

/*
 * Takes the parameter layout into account, or columns, which says the same in other words.  CSV has
 * both layouts, and Arrow is always wide.
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
	else if (export->format == &export_arrow && strcmp(given, wide) == 0)
		return true;
	else if (export->format != &export_copy_csv)
		http_problem(exchange, 400, "parameter \"%s\" is only for format=csv", name);
	else
	{
		if (strcmp(given, wide) == 0)
			export->format = &export_copy_wide_csv;
		return true;
	}
	return false;
}

/*
 * Does the request name its tags in exactly one way?  All tags must be asked for, so that a tag that
 * was forgotten does not export everything.
 */
static bool
check_selection(Exchange *exchange, const QueryParameters *parameters)
{
	int ways = (parameters->tag != NULL) + (parameters->prefix != NULL) + (parameters->all != NULL);

	if (ways == 0)
		http_problem(exchange, 400,
					 "parameter \"tag\" is missing; prefix= or all=true export more than one tag");
	else if (ways > 1)
		http_problem(
			exchange, 400,
			"parameters \"tag\", \"prefix\" and \"all\" exclude each other: give one of them");
	else if (parameters->all != NULL && strcmp(parameters->all, "true") != 0)
		http_problem(exchange, 400, "parameter \"all\" must be true");
	else if (parameters->prefix != NULL && parameters->prefix[0] == '\0')
		http_problem(exchange, 400,
					 "parameter \"prefix\" must not be empty; all=true exports all tags");
	else if ((parameters->after_tag != NULL) != (parameters->after_time != NULL))
		http_problem(exchange, 400, "parameter \"%s\" is missing: %s",
					 parameters->after_tag != NULL ? "after_time" : "after_tag",
					 "after_tag= and after_time= name the last row that the client has");
	else
		return true;
	return false;
}

/* If a parameter is missing or wrong, answers 400 and returns false. */
static bool
check_parameters(Exchange *exchange, Export *export)
{
	QueryParameters *parameters = &export->parameters;

	export->request.parameters = parameters;
	for (size_t i = 0; i < FORMATS; i++)
	{
		if (strcmp(parameters->format ? parameters->format : "ndjson", formats[i]->name) == 0)
			export->format = formats[i];
	}
	if (export->format == NULL)
		http_problem(exchange, 400, "parameter \"format\" must be csv, ndjson, binary or arrow");
	else if (export->format->nanoseconds &&
			 (parameters->times.unit_ns != 1 || parameters->time_form != TIME_FORM_INTEGER))
		http_problem(exchange, 400,
					 "parameter \"%s\" cannot be %s with format=%s, whose times are integers of "
					 "nanoseconds; start and end may be RFC 3339 times",
					 parameters->times.unit_ns != 1 ? "precision" : "time",
					 parameters->times.unit_ns != 1 ? "other than ns" : "other than integer",
					 export->format->name);
	else if (export->format == &export_arrow && parameters->time_form != TIME_FORM_INTEGER)
		http_problem(exchange, 400,
					 "parameter \"time\" must be integer with format=arrow, whose times are "
					 "timestamps without it");
	else if (check_selection(exchange, parameters) && check_layout(exchange, export))
		return query_read_window(exchange, parameters, true) &&
			   (parameters->after_time == NULL ||
				query_read_time(exchange, "after_time", parameters->after_time, &export->after_ns));
	return false;
}

/* Appends the condition that leaves only tags with the prefix. */
static void
put_prefix(Bytes *sql, const char *prefix)
{
	bytes_puts(sql, " AND starts_with(tag, ");
	pg_put_literal(sql, prefix);
	bytes_puts(sql, ")");
}

/* Appends which tags the request has selected, and may have. */
static void
put_selection(Bytes *sql, const QueryParameters *parameters)
{
	if (parameters->tag_count > 0)
	{
		bytes_puts(sql, parameters->tag_count == 1 ? " AND tag = " : " AND tag = ANY (");
		pg_put_literal(sql,
					   parameters->tag_count == 1 ? parameters->tag : parameters->tag_array.data);
		bytes_puts(sql, parameters->tag_count == 1 ? "" : "::text[])");
		return;
	}
	if (parameters->prefix != NULL)
		put_prefix(sql, parameters->prefix);
	if (parameters->principal->prefix_length > 0)
		put_prefix(sql, parameters->principal->prefix);
}

/* Appends the COPY.  It has literals, because COPY takes no parameters. */
static void
put_copy(Bytes *sql, const char *table_sql, const Export *export)
{
	const QueryParameters *parameters = &export->parameters;

	bytes_puts(sql, "COPY (SELECT ");
	export->format->put_columns(sql, &export->request);
	bytes_printf(sql, " FROM %s WHERE true", table_sql);
	put_selection(sql, parameters);
	if (parameters->start != NULL)
		bytes_printf(sql, " AND time >= '%lld'::bigint", (long long) parameters->start_ns);
	if (parameters->end != NULL)
		bytes_printf(sql, " AND time < '%lld'::bigint", (long long) parameters->end_ns);
	if (parameters->after_tag != NULL)
	{
		bytes_puts(sql, " AND (tag COLLATE \"C\", time) > (");
		pg_put_literal(sql, parameters->after_tag);
		bytes_printf(sql, ", '%lld'::bigint)", (long long) export->after_ns);
	}
	bytes_printf(sql, " ORDER BY %stime) TO STDOUT (%s)",
				 parameters->tag_count == 1 ? "" : "tag COLLATE \"C\", ",
				 export->format->copy_options);
}

static bool
on_data(void *argument, const char *data, size_t length)
{
	Exchange *exchange = argument;
	Export *export = exchange->state;

	if (!export->broken)
		export->broken = !export->format->take(export->encoder, data, length, &export->chunk);
	return export->broken || export->chunk.length < CHUNK_BYTES || send_chunk(exchange);
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

static Turns *
turns_of(Exchange *exchange)
{
	return &exchange->loop->turns;
}

static void
count_memory(Exchange *exchange)
{
	const Export *export = exchange->state;
	const ExportFormat *format = export->format;

	exchange->route_bytes = export->chunk.capacity + export->compressed.capacity +
							(export->gzip != NULL ? GZIP_BYTES : 0) +
							(format->bytes != NULL ? format->bytes(export->encoder) : 0);
}

/*
 * Sends the chunk, compressed if the client accepts that; false if the stream must pause.  A part of
 * the chunk may be left then, of which the rest is sent: go_on() is called when the client has taken
 * some, or when it is this export's turn again.
 */
static bool
send_chunk(Exchange *exchange)
{
	Export *export = exchange->state;
	Bytes *chunk = &export->chunk;
	bool room = true;

	if (!export->begun)
		begin(exchange);
	if (!export->gzipped)
	{
		count_memory(exchange);
		room = http_stream_send(exchange, chunk->data, chunk->length);
		chunk->length = 0;
		return room;
	}
	if (export->gzip == NULL)
		export->gzip = gzip_new();
	do
	{
		size_t left = chunk->length - export->sent;
		size_t piece = left < CHUNK_BYTES ? left : CHUNK_BYTES;

		gzip_add(export->gzip, &export->compressed, chunk->data + export->sent, piece,
				 export->ending && piece == left);
		export->sent += piece;
		count_memory(exchange);
		room = http_stream_send(exchange, export->compressed.data, export->compressed.length);
		export->compressed.length = 0;
		if (export->sent == chunk->length)
		{
			chunk->length = export->sent = 0;
			return room;
		}
	} while (room && !turn_slice_over(turns_of(exchange)));
	if (room)
		turn_queue(turns_of(exchange), &export->task);
	return false;
}

/* Sends what is left of the chunk, and then takes more rows, or ends the answer. */
static void
go_on(Exchange *exchange)
{
	Export *export = exchange->state;

	if (export->sent > 0)
	{
		bool room = send_chunk(exchange);

		if (export->sent == 0 && export->ending)
			http_stream_end(exchange);
		else if (export->sent == 0 && room && export->stream != NULL)
			pg_read_resume(export->stream);
	}
	else if (export->stream != NULL)
		pg_read_resume(export->stream);
}

static void
run_task(TurnTask *task)
{
	go_on(((Export *) ((char *) task - offsetof(Export, task)))->exchange);
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
	if (outcome->result != NULL && !export->broken)
	{
		if (export->format->end != NULL)
			export->format->end(export->encoder, &export->chunk);
		export->ending = true;
		send_chunk(exchange);
		if (export->sent == 0)
			http_stream_end(exchange);
		return;
	}
	turn_unqueue(&export->task);
	if (export->broken)
		failure = (QueryOutcome){.sqlstate = "", .message = "PostgreSQL sent unknown rows"};
	if (outcome->limit == 0 && strcmp(outcome->sqlstate, "57014") == 0)
		failure.message = "PostgreSQL sent nothing for too long (--query-timeout)";
	if (!export->begun)
	{
		if (export->broken)
			http_problem(exchange, 500, "%s", failure.message);
		else
			query_answer_failure(exchange, &failure);
		return;
	}
	trace_cause(exchange, failure.sqlstate, failure.message);
	http_stream_break(exchange);
}
