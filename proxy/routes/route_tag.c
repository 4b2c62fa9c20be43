/*
 * route_tag.c
 *	  GET, PUT and DELETE /tags/{tag}: what is known of one tag, and what is stored of it.
 */
#include "routes/routes.h"

#include "http/http_answer.h"
#include "http/http_content.h"
#include "http/http_trace.h"
#include "database/pg_connection.h"
#include "routes/change.h"
#include "routes/query.h"
#include "routes/tag_input.h"
#include "routes/tag_metadata.h"
#include "base/utf8.h"
#include "loop.h"

#include <stdlib.h>
#include <string.h>

#define MAX_METADATA_BYTES 262144 /* 1,000 values with long names and units fit */

static void tag_begin(Exchange *exchange);
static size_t tag_body(Exchange *exchange, const char *data, size_t length);
static bool tag_end(Exchange *exchange);
static void tag_release(Exchange *exchange);

const Route route_tag = {
	.path = "/tags/{tag}",
	.metric = ROUTE_TAGS,
	.access = ACCESS_READ,
	.change_access = ACCESS_ADMIN,
	.put = true,
	.remove = true,
	.get = true,
	.alone = true,
	.begin = tag_begin,
	.body = tag_body,
	.end = tag_end,
	.release = tag_release,
};

typedef struct Tag
{
	QueryParameters parameters; /* must be first: query.c takes the state for them */
	Bytes metadata;				/* the body of a PUT */
	Change *change;				/* of a DELETE */
} Tag;

static void read_tag(Exchange *exchange);
static void write_tag(Exchange *exchange);
static void on_read(void *argument, const QueryOutcome *outcome);
static void on_written(void *argument, const QueryOutcome *outcome);
static void on_position(void *argument, const QueryOutcome *outcome);
static void remove_tag(Exchange *exchange);
static void answer_removed(Exchange *exchange, const char *removed);

/* Reads parameters and the tag in the path. */
static void
tag_begin(Exchange *exchange)
{
	Tag *tag = memory_new(sizeof(Tag));
	uint8_t method = exchange->request.method;
	bool put = method == HTTP_PUT;

	exchange->state = tag;
	if (!query_parameters_read(
			exchange, &tag->parameters,
			put || method == HTTP_DELETE ? 0 : QUERY_TIME | QUERY_PRECISION | QUERY_COMMIT) ||
		!query_path_tag(exchange, &tag->parameters) || !put)
		return;
	query_body_is_json(exchange);
}

static size_t
tag_body(Exchange *exchange, const char *data, size_t length)
{
	Tag *tag = exchange->state;

	if (exchange->request.method != HTTP_PUT)
		return length;
	if (tag->metadata.length + length <= MAX_METADATA_BYTES)
		bytes_append(&tag->metadata, data, length);
	else
		http_problem(exchange, 413, "metadata of a tag has at most %d bytes", MAX_METADATA_BYTES);
	return length;
}

static bool
tag_end(Exchange *exchange)
{
	if (exchange->request.method == HTTP_PUT)
		write_tag(exchange);
	else if (exchange->request.method == HTTP_DELETE)
		remove_tag(exchange);
	else
		read_tag(exchange);
	return true;
}

static void
tag_release(Exchange *exchange)
{
	Tag *tag = exchange->state;

	if (tag == NULL)
		return;
	change_release(tag->change);
	query_parameters_free(&tag->parameters);
	bytes_free(&tag->metadata);
	free(tag);
	exchange->state = NULL;
}

static void
read_tag(Exchange *exchange)
{
	Tag *tag = exchange->state;
	const char *arguments[] = {loop_of(exchange)->shared->config->table_sql, tag->parameters.tag};

	query_submit(exchange,
				 "SELECT s.first_time, s.last_time, s.samples, s.bytes, "
				 "array_to_json(m.learned), m.tag, s.segments, " TAG_METADATA_COLUMNS
				 " FROM historian.tag_info($1::text::regclass, $2::text) s"
				 " LEFT JOIN historian.tag m ON m.relid = $1::text::regclass AND m.tag = $2",
				 2, arguments, NULL, on_read);
}

/* Answers with the tag, unless it has neither samples nor metadata. */
static void
on_read(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	const QueryParameters *parameters = exchange->state;
	const PGresult *row = outcome->result;
	Bytes body = {0};

	if (row == NULL)
	{
		query_answer_failure(exchange, outcome);
		return;
	}
	if (PQgetisnull(row, 0, 5) && strcmp(PQgetvalue(row, 0, 2), "0") == 0)
	{
		http_problem(exchange, 404, "the tag has neither values nor metadata");
		return;
	}
	bytes_puts(&body, "{\"tag\":");
	bytes_json_string(&body, parameters->tag, strlen(parameters->tag));
	tag_metadata_put(&body, row, 7, true);
	bytes_printf(&body, ",\"learned\":%s", PQgetisnull(row, 0, 4) ? "null" : PQgetvalue(row, 0, 4));
	for (int i = 0; i < 2; i++)
	{
		bytes_puts(&body, i == 0 ? ",\"first\":" : ",\"last\":");
		if (PQgetisnull(row, 0, i))
			bytes_puts(&body, "null");
		else
			query_put_time(&body, parameters, PQgetvalue(row, 0, i),
						   (size_t) PQgetlength(row, 0, i));
	}
	bytes_printf(&body, ",\"samples\":%s,\"bytes\":%s,\"segments\":%s}\n", PQgetvalue(row, 0, 2),
				 PQgetvalue(row, 0, 3), PQgetvalue(row, 0, 6));
	http_answer_content(exchange, "application/json", &body, 1);
}

/* Submits the body, in which PostgreSQL checks the rest. */
static void
write_tag(Exchange *exchange)
{
	Loop *loop = loop_of(exchange);
	Tag *tag = exchange->state;
	QueryParameters *parameters = &tag->parameters;
	const char *arguments[] = {loop->shared->config->table_sql, parameters->tag,
							   bytes_text(&tag->metadata)};
	TagInputError error;

	if (memchr(tag->metadata.data, '\0', tag->metadata.length) != NULL ||
		!utf8_valid(tag->metadata.data, tag->metadata.length))
		http_problem(exchange, 400, "the body is not JSON in UTF-8");
	else if (!tag_input_check(tag->metadata.data, tag->metadata.length, &error))
	{
		Bytes body = {0};

		http_problem_begin(exchange, &body, 400, error.detail);
		if (error.field != NULL)
			bytes_printf(&body, ",\"field\":\"%s\"", error.field);
		http_problem_body(exchange, 400, &body);
	}
	else
		query_submit_write(
			exchange, "SELECT historian.set_tag($1::text::regclass, $2::text, $3::text::jsonb)", 3,
			arguments, NULL, on_written);
}

/* Asks where the WAL is after the commit, or says what PostgreSQL finds wrong with the body. */
static void
on_written(void *argument, const QueryOutcome *outcome)
{
	static const char *const body_errors[] = {"22", "23", "54"};
	Exchange *exchange = argument;
	const char *field = NULL;

	if (outcome->result != NULL)
	{
		trace_audit(exchange, "set metadata", ((QueryParameters *) exchange->state)->tag, "");
		query_submit_write(exchange, PG_POSITION_SQL, 0, NULL, NULL, on_position);
		return;
	}
	/* Of what tag_input.c lets through only an interval has such errors. */
	if (strcmp(outcome->sqlstate, "22007") == 0 || strcmp(outcome->sqlstate, "22008") == 0 ||
		strcmp(outcome->sqlstate, "22015") == 0)
		field = "max_silence";
	for (size_t i = 0; i < sizeof(body_errors) / sizeof(body_errors[0]); i++)
	{
		if (strncmp(outcome->sqlstate, body_errors[i], 2) == 0)
		{
			query_answer_error(exchange, 400, field, outcome);
			return;
		}
	}
	if (strcmp(outcome->sqlstate, "25006") == 0)
		http_problem(exchange, 503, "PostgreSQL does not take changes now: %s", outcome->message);
	else if (strcmp(outcome->sqlstate, "42501") == 0)
		query_answer_error(exchange, 403, NULL, outcome);
	else
		query_answer_failure(exchange, outcome);
}

/* Answers 204, with the position if PostgreSQL has told it: the metadata is committed in any case. */
static void
on_position(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	uint64_t position = outcome->result != NULL ? pg_read_position(outcome->result) : 0;

	if (position != 0)
		http_note_commit(exchange, position);
	http_answer(exchange, 204, NULL, NULL, NULL, 0);
}

/* Submits the deletion of all samples; what is known of the tag stays. */
static void
remove_tag(Exchange *exchange)
{
	Tag *tag = exchange->state;
	Bytes sql = {0};

	bytes_puts(&sql, "SELECT NULL, historian.delete(");
	change_put_table(&sql, exchange);
	bytes_puts(&sql, ", ");
	change_put_text(&sql, tag->parameters.tag);
	/* The greatest bigint is a time that no range of integers includes. */
	bytes_puts(&sql, ", '-infinity'::timestamptz, 'infinity'::timestamptz)");
	change_submit(exchange, &tag->change, bytes_text(&sql), NULL, answer_removed);
	bytes_free(&sql);
}

static void
answer_removed(Exchange *exchange, const char *removed)
{
	change_answer_removed(exchange, "delete", ((Tag *) exchange->state)->parameters.tag, removed);
}
