/*
 * route_api.c
 *	  GET /api: samples of a tag, or of several, over a window, computed by the database.
 */
#include "routes.h"

#include "http_content.h"
#include "query.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_SAMPLES		 "1000"
#define DEFAULT_SAMPLE_COUNT 1000
#define MAX_SAMPLES			 10000
#define MAX_ALL_SAMPLES		 100000 /* of all tags: an answer is made in memory */

static bool api_end(Exchange *exchange);
static void api_release(Exchange *exchange);

const Route route_api = {
	.path = "/api",
	.metric = ROUTE_API,
	.alone = true,
	.end = api_end,
	.release = api_release,
};

static bool check_parameters(Exchange *exchange, QueryParameters *parameters);
static void on_result(void *argument, const QueryOutcome *outcome);

static bool
api_end(Exchange *exchange)
{
	ServerLoop *loop = exchange->server_loop;
	QueryParameters *parameters = memory_new(sizeof(QueryParameters));
	const char *arguments[6];

	exchange->state = parameters;
	if (!query_parameters_read(exchange, parameters,
							   QUERY_TAGS | QUERY_START | QUERY_END | QUERY_SAMPLES | QUERY_METHOD |
								   QUERY_TIME) ||
		!check_parameters(exchange, parameters))
		return true;

	arguments[0] = loop->server->config->table_sql;
	arguments[1] = parameters->tag_count > 1 ? parameters->tag_array.data : parameters->tag;
	arguments[2] = parameters->start;
	arguments[3] = parameters->end;
	arguments[4] = parameters->samples ? parameters->samples : DEFAULT_SAMPLES;
	arguments[5] = parameters->method ? parameters->method : "last";
	query_submit(
		exchange,
		parameters->tag_count > 1
			? "SELECT time, values, tag FROM historian.downsample_many("
			  "$1::text::regclass, $2::text[], $3::bigint, $4::bigint, $5::integer, "
			  "$6::text)"
			: "SELECT time, values FROM historian.downsample($1::text::regclass, $2::text, "
			  "$3::bigint, $4::bigint, $5::integer, $6::text)",
		6, arguments, on_result);
	return true;
}

static void
api_release(Exchange *exchange)
{
	if (exchange->state == NULL)
		return;
	query_parameters_free(exchange->state);
	free(exchange->state);
	exchange->state = NULL;
}

/* Returns false after having answered. */
static bool
check_parameters(Exchange *exchange, QueryParameters *parameters)
{
	int64_t start;
	int64_t end;
	int64_t samples = DEFAULT_SAMPLE_COUNT;

	if (parameters->tag == NULL || parameters->start == NULL || parameters->end == NULL)
		http_problem(exchange, 400, "parameter \"%s\" is missing",
					 parameters->tag == NULL	 ? "tag"
					 : parameters->start == NULL ? "start"
												 : "end");
	else if (!query_integer(parameters->start, &start) || !query_integer(parameters->end, &end))
		http_problem(exchange, 400,
					 "parameter \"%s\" must be a 64-bit integer, nanoseconds since 1970-01-01 UTC",
					 query_integer(parameters->start, &start) ? "end" : "start");
	else if (start >= end)
		http_problem(exchange, 400, "parameter \"start\" must be before \"end\"");
	else if (parameters->samples != NULL && (!query_integer(parameters->samples, &samples) ||
											 samples < 1 || samples > MAX_SAMPLES))
		http_problem(exchange, 400, "parameter \"samples\" must be an integer from 1 to %d",
					 MAX_SAMPLES);
	else if (samples * parameters->tag_count > MAX_ALL_SAMPLES)
		http_problem(exchange, 400, "parameter \"samples\" times the number of tags is over %d",
					 MAX_ALL_SAMPLES);
	else
	{
		/* The answer repeats them: not as -0, which is a whole number, too. */
		if (start == 0)
			memcpy(parameters->start, "0", 2);
		if (end == 0)
			memcpy(parameters->end, "0", 2);
		return true;
	}
	return false;
}

static void
put_sample(Bytes *body, const PGresult *result, int row, bool string_times)
{
	bytes_puts(body, "{\"time\":");
	query_put_time(body, PQgetvalue(result, row, 0), string_times);
	bytes_puts(body, ",\"values\":");
	if (PQgetisnull(result, row, 1))
		bytes_puts(body, "null");
	else
		query_put_values(body, PQgetvalue(result, row, 1), (size_t) PQgetlength(result, row, 1));
	bytes_puts(body, "}");
}

/* Puts the samples of the tag that row is of, without brackets.  Returns the row after them. */
static int
put_samples(Bytes *body, const PGresult *result, int row, bool string_times)
{
	bool many = PQnfields(result) > 2;
	int first = row;

	for (; row < PQntuples(result); row++)
	{
		if (many && strcmp(PQgetvalue(result, row, 2), PQgetvalue(result, first, 2)) != 0)
			break;
		if (row > first)
			bytes_puts(body, ",");
		put_sample(body, result, row, string_times);
	}
	return row;
}

static void
put_series(Bytes *body, const PGresult *result, bool string_times)
{
	int row = 0;

	bytes_puts(body, ",\"series\":[");
	while (row < PQntuples(result))
	{
		bytes_puts(body, row > 0 ? ",{\"tagName\":" : "{\"tagName\":");
		bytes_json_string(body, PQgetvalue(result, row, 2), (size_t) PQgetlength(result, row, 2));
		bytes_puts(body, ",\"samples\":[");
		row = put_samples(body, result, row, string_times);
		bytes_puts(body, "]}");
	}
	bytes_puts(body, "]}");
}

static void
on_result(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	const QueryParameters *parameters = exchange->state;
	bool string_times = parameters->string_times;
	Bytes body = {0};

	if (outcome->result == NULL)
	{
		query_answer_failure(exchange, outcome);
		return;
	}
	if (PQntuples(outcome->result) == 0)
	{
		http_problem(exchange, 404,
					 parameters->tag_count > 1 ? "none of the tags has values"
											   : "the tag has no values");
		return;
	}
	bytes_puts(&body, "{");
	if (parameters->tag_count == 1)
	{
		bytes_puts(&body, "\"tagName\":");
		bytes_json_string(&body, parameters->tag, strlen(parameters->tag));
		bytes_puts(&body, ",");
	}
	bytes_puts(&body, "\"start\":");
	query_put_time(&body, parameters->start, string_times);
	bytes_puts(&body, ",\"end\":");
	query_put_time(&body, parameters->end, string_times);
	if (parameters->tag_count > 1)
		put_series(&body, outcome->result, string_times);
	else
	{
		bytes_puts(&body, ",\"samples\":[");
		put_samples(&body, outcome->result, 0, string_times);
		bytes_puts(&body, "]}");
	}
	http_answer_content(exchange, "application/json", &body);
}
