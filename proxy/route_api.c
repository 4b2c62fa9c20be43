/*
 * route_api.c
 *	  GET /api: a tag's samples over a window, computed by the database.
 *
 * PostgreSQL's text form of float8[] is the shortest one that reads back as the same doubles, so
 * JSON needs only its brackets, and null for what JSON has no number for.
 */
#include "routes.h"

#include "number.h"
#include "server.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_SAMPLES "1000"
#define MAX_SAMPLES		10000

typedef struct ApiQuery
{
	Bytes tag;
	char *start; /* as checked; PostgreSQL gets the text */
	char *end;
	char *samples;
	char *method;
	bool string_times;
} ApiQuery;

static bool api_end(Exchange *exchange);
static void api_release(Exchange *exchange);

const Route route_api = {
	.path = "/api",
	.metric = ROUTE_API,
	.end = api_end,
	.release = api_release,
};

static bool read_query(Exchange *exchange, ApiQuery *query);
static bool check_query(Exchange *exchange, ApiQuery *query);
static void on_result(void *argument, const QueryOutcome *outcome);
static void answer_failure(Exchange *exchange, const QueryOutcome *outcome);

static bool
api_end(Exchange *exchange)
{
	ServerLoop *loop = exchange->server_loop;
	ApiQuery *query = memory_new(sizeof(ApiQuery));
	const char *parameters[6];

	exchange->state = query;
	if (!read_query(exchange, query) || !check_query(exchange, query))
		return true;

	parameters[0] = loop->server->config->table_sql;
	parameters[1] = query->tag.data;
	parameters[2] = query->start;
	parameters[3] = query->end;
	parameters[4] = query->samples;
	parameters[5] = query->method;
	exchange->waiting = true;
	if (!pg_pool_submit(
			loop->pool,
			"SELECT time, values FROM historian.downsample($1::text::regclass, $2::text, "
			"$3::bigint, $4::bigint, $5::integer, $6::text)",
			6, parameters, on_result, exchange))
	{
		exchange->waiting = false;
		http_problem(exchange, 503, "too many queries are waiting (--max-queued-queries %llu)",
					 (unsigned long long) loop->server->config->max_queued_queries);
	}
	return true;
}

static void
api_release(Exchange *exchange)
{
	ApiQuery *query = exchange->state;

	if (query == NULL)
		return;
	bytes_free(&query->tag);
	free(query->start);
	free(query->end);
	free(query->samples);
	free(query->method);
	free(query);
	exchange->state = NULL;
}

/* Returns false after having answered. */
static bool
read_query(Exchange *exchange, ApiQuery *query)
{
	size_t position = 0;
	Bytes name = {0};
	Bytes value = {0};
	bool valid;
	const char *wrong = NULL;

	while (wrong == NULL &&
		   http_request_parameter(&exchange->request, &position, &name, &value, &valid))
	{
		char **member = strcmp(name.data, "start") == 0		? &query->start
						: strcmp(name.data, "end") == 0		? &query->end
						: strcmp(name.data, "samples") == 0 ? &query->samples
						: strcmp(name.data, "method") == 0	? &query->method
															: NULL;

		if (!valid || memchr(value.data, '\0', value.length) != NULL)
			wrong = "has an invalid percent escape";
		else if (member != NULL)
		{
			if (*member != NULL)
				wrong = "is given twice";
			else
				*member = memory_strdup(value.data);
		}
		else if (strcmp(name.data, "tag") == 0)
		{
			if (query->tag.data != NULL)
				wrong = "is given twice";
			bytes_append(&query->tag, value.data, value.length + 1);
		}
		else if (strcmp(name.data, "time") == 0)
		{
			query->string_times = strcmp(value.data, "string") == 0;
			if (!query->string_times && strcmp(value.data, "integer") != 0)
				wrong = "must be integer or string";
		}
		else
			wrong = "is unknown; /api takes tag, start, end, samples, method and time";
	}
	if (wrong != NULL)
		http_problem(exchange, 400, "parameter \"%.40s\" %s", name.data, wrong);
	bytes_free(&name);
	bytes_free(&value);
	return wrong == NULL;
}

/* A whole number that fills the text. */
static bool
parse_integer(const char *text, int64_t *value)
{
	const char *end = text + strlen(text);

	return number_int64(&text, end, value) == NUMBER_OK && text == end;
}

/* Returns false after having answered. */
static bool
check_query(Exchange *exchange, ApiQuery *query)
{
	int64_t start;
	int64_t end;
	int64_t samples;

	if (query->tag.data == NULL || query->start == NULL || query->end == NULL)
	{
		http_problem(exchange, 400, "parameter \"%s\" is missing",
					 query->tag.data == NULL ? "tag"
					 : query->start == NULL	 ? "start"
											 : "end");
		return false;
	}
	if (query->samples == NULL)
		query->samples = memory_strdup(DEFAULT_SAMPLES);
	if (query->method == NULL)
		query->method = memory_strdup("last");

	if (query->tag.length == 1 || query->tag.length > MESSAGE_MAX_TAG_BYTES + 1)
		http_problem(exchange, 400, "parameter \"tag\" must have 1 to %d bytes",
					 MESSAGE_MAX_TAG_BYTES);
	else if (!utf8_valid(query->tag.data, query->tag.length))
		http_problem(exchange, 400, "parameter \"tag\" is not valid UTF-8");
	else if (!parse_integer(query->start, &start) || !parse_integer(query->end, &end))
		http_problem(exchange, 400,
					 "parameter \"%s\" must be a 64-bit integer, nanoseconds since 1970-01-01 UTC",
					 parse_integer(query->start, &start) ? "end" : "start");
	else if (start >= end)
		http_problem(exchange, 400, "parameter \"start\" must be before \"end\"");
	else if (!parse_integer(query->samples, &samples) || samples < 1 || samples > MAX_SAMPLES)
		http_problem(exchange, 400, "parameter \"samples\" must be an integer from 1 to %d",
					 MAX_SAMPLES);
	else
		return true;
	return false;
}

/* "{1.5,NULL,NaN}" to "[1.5,null,null]".  out has room for length bytes, and the result fits. */
static char *
put_values(char *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		char c = text[i];

		if (c == '{')
			*out++ = '[';
		else if (c == '}')
			*out++ = ']';
		else if (c == 'N' || c == 'I' || (c == '-' && text[i + 1] == 'I'))
		{
			memcpy(out, "null", 4);
			out += 4;
			while (i + 1 < length && text[i + 1] != ',' && text[i + 1] != '}')
				i++;
		}
		else
			*out++ = c;
	}
	return out;
}

static char *
put_text(char *out, const char *text, size_t length)
{
	memcpy(out, text, length);
	return out + length;
}

static void
put_sample(Bytes *body, const PGresult *result, int row, const char *quote)
{
	size_t time_length = (size_t) PQgetlength(result, row, 0);
	size_t values_length = (size_t) PQgetlength(result, row, 1);
	/* NaN grows by one byte, and with its comma takes four: a third more is always enough. */
	char *start = bytes_reserve(body, 64 + time_length + values_length + values_length / 3);
	char *out = start;

	out = put_text(out, row > 0 ? ",{\"time\":" : "{\"time\":", row > 0 ? 9 : 8);
	out = put_text(out, quote, strlen(quote));
	out = put_text(out, PQgetvalue(result, row, 0), time_length);
	out = put_text(out, quote, strlen(quote));
	out = put_text(out, ",\"values\":", 10);
	if (PQgetisnull(result, row, 1))
		out = put_text(out, "null", 4);
	else
		out = put_values(out, PQgetvalue(result, row, 1), values_length);
	*out++ = '}';
	body->length += (size_t) (out - start);
}

static void
on_result(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	ApiQuery *query = exchange->state;
	const char *quote = query->string_times ? "\"" : "";
	Bytes body = {0};
	int rows;

	if (outcome->result == NULL)
	{
		answer_failure(exchange, outcome);
		return;
	}
	rows = PQntuples(outcome->result);
	if (rows == 0)
	{
		http_problem(exchange, 404, "the tag has no values");
		return;
	}
	bytes_puts(&body, "{\"tagName\":");
	bytes_json_string(&body, query->tag.data, query->tag.length - 1);
	bytes_printf(&body, ",\"start\":%s%s%s,\"end\":%s%s%s,\"samples\":[", quote, query->start,
				 quote, quote, query->end, quote);
	for (int row = 0; row < rows; row++)
		put_sample(&body, outcome->result, row, quote);
	bytes_puts(&body, "]}");
	http_answer(exchange, 200, "application/json", NULL, body.data, body.length);
	bytes_free(&body);
}

static void
answer_failure(Exchange *exchange, const QueryOutcome *outcome)
{
	int status = 500;
	Bytes body = {0};

	if (outcome->sqlstate[0] == '\0' || strncmp(outcome->sqlstate, "08", 2) == 0 ||
		strncmp(outcome->sqlstate, "53", 2) == 0 || strncmp(outcome->sqlstate, "57P", 3) == 0)
		status = 503; /* away, too busy, or restarting */
	else if (strcmp(outcome->sqlstate, "57014") == 0)
		status = 504; /* --query-timeout */
	else if (strncmp(outcome->sqlstate, "22", 2) == 0)
		status = 400; /* an argument that only the database knows to be wrong */

	if (status == 503)
	{
		/* Connection errors name hosts and users: for the log, not for clients. */
		http_problem(exchange, 503, "PostgreSQL cannot be reached");
		return;
	}
	http_format_problem(&body, status, outcome->message);
	bytes_printf(&body, ",\"sqlstate\":\"%s\"", outcome->sqlstate);
	http_problem_body(exchange, status, &body);
}
