/*
 * route_latest.c
 *	  GET /latest: the last sample of each tag, or of some.
 */
#include "routes.h"

#include "query.h"
#include "server.h"

static bool latest_end(Exchange *exchange);

const Route route_latest = {
	.path = "/latest",
	.metric = ROUTE_LATEST,
	.alone = true,
	.end = latest_end,
	.release = query_release,
};

static void on_result(void *argument, const QueryOutcome *outcome);

static bool
latest_end(Exchange *exchange)
{
	ServerLoop *loop = exchange->server_loop;
	const QueryParameters *parameters;
	const char *arguments[2];

	if (!query_begin(exchange, QUERY_TAGS | QUERY_TIME))
		return true;
	parameters = exchange->state;
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
put_sample(Bytes *body, const QueryParameters *parameters, const PGresult *result, int row)
{
	bytes_puts(body, ",\"time\":");
	query_put_time(body, PQgetvalue(result, row, 1), parameters->string_times);
	bytes_puts(body, ",\"values\":");
	if (PQgetisnull(result, row, 2))
		bytes_puts(body, "null");
	else
		query_put_values(body, PQgetvalue(result, row, 2), (size_t) PQgetlength(result, row, 2));
}

static void
on_result(void *argument, const QueryOutcome *outcome)
{
	query_answer_tags(argument, outcome, "latest", put_sample);
}
