/*
 * route_latest.c
 *	  GET /latest: the last sample of each tag, or of some.
 */
#include "routes.h"

#include "query.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>

static bool latest_end(Exchange *exchange);
static void latest_release(Exchange *exchange);

const Route route_latest = {
	.path = "/latest",
	.metric = ROUTE_LATEST,
	.alone = true,
	.end = latest_end,
	.release = latest_release,
};

static void on_result(void *argument, const QueryOutcome *outcome);

static bool
latest_end(Exchange *exchange)
{
	ServerLoop *loop = exchange->server_loop;
	QueryParameters *parameters = memory_new(sizeof(QueryParameters));
	const char *arguments[2];

	exchange->state = parameters;
	if (!query_parameters_read(exchange, parameters, QUERY_TAGS | QUERY_TIME))
		return true;
	arguments[0] = loop->server->config->table_sql;
	arguments[1] = parameters->tag_array.data;
	if (arguments[1] == NULL)
		query_submit(exchange, "SELECT tag, time, values FROM historian.latest($1::text::regclass)",
					 1, arguments, on_result);
	else
		query_submit(exchange,
					 "SELECT tag, time, values "
					 "FROM historian.latest($1::text::regclass, $2::text[])",
					 2, arguments, on_result);
	return true;
}

static void
latest_release(Exchange *exchange)
{
	if (exchange->state == NULL)
		return;
	query_parameters_free(exchange->state);
	free(exchange->state);
	exchange->state = NULL;
}

static void
on_result(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	const QueryParameters *parameters = exchange->state;
	const PGresult *result = outcome->result;
	Bytes body = {0};

	if (result == NULL)
	{
		query_answer_failure(exchange, outcome);
		return;
	}
	bytes_puts(&body, "{\"latest\":[");
	for (int row = 0; row < PQntuples(result); row++)
	{
		bytes_puts(&body, row > 0 ? ",{\"tag\":" : "{\"tag\":");
		bytes_json_string(&body, PQgetvalue(result, row, 0), (size_t) PQgetlength(result, row, 0));
		bytes_puts(&body, ",\"time\":");
		query_put_time(&body, PQgetvalue(result, row, 1), parameters->string_times);
		bytes_puts(&body, ",\"values\":");
		if (PQgetisnull(result, row, 2))
			bytes_puts(&body, "null");
		else
			query_put_values(&body, PQgetvalue(result, row, 2),
							 (size_t) PQgetlength(result, row, 2));
		bytes_puts(&body, "}");
	}
	bytes_puts(&body, "]}");
	http_answer(exchange, 200, "application/json", NULL, body.data, body.length);
	bytes_free(&body);
}
