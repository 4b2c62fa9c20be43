/*
 * route_tags.c
 *	  GET /tags: the tags, with their first and last time and number of samples.
 */
#include "routes.h"

#include "query.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>

static bool tags_end(Exchange *exchange);
static void tags_release(Exchange *exchange);

const Route route_tags = {
	.path = "/tags",
	.metric = ROUTE_TAGS,
	.alone = true,
	.end = tags_end,
	.release = tags_release,
};

static void on_result(void *argument, const QueryOutcome *outcome);

static bool
tags_end(Exchange *exchange)
{
	ServerLoop *loop = exchange->server_loop;
	QueryParameters *parameters = memory_new(sizeof(QueryParameters));
	const char *arguments[2];

	exchange->state = parameters;
	if (!query_parameters_read(exchange, parameters, QUERY_PREFIX | QUERY_TIME))
		return true;
	arguments[0] = loop->server->config->table_sql;
	arguments[1] = parameters->prefix ? parameters->prefix : "";
	query_submit(exchange,
				 "SELECT tag, first_time, last_time, samples "
				 "FROM historian.tags($1::text::regclass) WHERE starts_with(tag, $2::text)",
				 2, arguments, on_result);
	return true;
}

static void
tags_release(Exchange *exchange)
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
	bytes_puts(&body, "{\"tags\":[");
	for (int row = 0; row < PQntuples(result); row++)
	{
		bytes_puts(&body, row > 0 ? ",{\"tag\":" : "{\"tag\":");
		bytes_json_string(&body, PQgetvalue(result, row, 0), (size_t) PQgetlength(result, row, 0));
		bytes_puts(&body, ",\"first\":");
		query_put_time(&body, PQgetvalue(result, row, 1), parameters->string_times);
		bytes_puts(&body, ",\"last\":");
		query_put_time(&body, PQgetvalue(result, row, 2), parameters->string_times);
		bytes_puts(&body, ",\"samples\":");
		bytes_puts(&body, PQgetvalue(result, row, 3));
		bytes_puts(&body, "}");
	}
	bytes_puts(&body, "]}");
	http_answer(exchange, 200, "application/json", NULL, body.data, body.length);
	bytes_free(&body);
}
