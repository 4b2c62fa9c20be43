/*
 * route_tags.c
 *	  GET /tags: the tags, with their first and last time and number of samples.
 */
#include "routes.h"

#include "query.h"
#include "server.h"

static bool tags_end(Exchange *exchange);

const Route route_tags = {
	.path = "/tags",
	.metric = ROUTE_TAGS,
	.alone = true,
	.end = tags_end,
	.release = query_release,
};

static void on_result(void *argument, const QueryOutcome *outcome);

static bool
tags_end(Exchange *exchange)
{
	ServerLoop *loop = exchange->server_loop;
	const QueryParameters *parameters;
	const char *arguments[2];

	if (!query_begin(exchange, QUERY_PREFIX | QUERY_TIME))
		return true;
	parameters = exchange->state;
	arguments[0] = loop->server->config->table_sql;
	arguments[1] = parameters->prefix ? parameters->prefix : "";
	query_submit(exchange,
				 "SELECT tag, first_time, last_time, samples "
				 "FROM historian.tags($1::text::regclass) WHERE starts_with(tag, $2::text)",
				 2, arguments, on_result);
	return true;
}

static void
put_extent(Bytes *body, const QueryParameters *parameters, const PGresult *result, int row)
{
	bytes_puts(body, ",\"first\":");
	query_put_time(body, PQgetvalue(result, row, 1), parameters->string_times);
	bytes_puts(body, ",\"last\":");
	query_put_time(body, PQgetvalue(result, row, 2), parameters->string_times);
	bytes_puts(body, ",\"samples\":");
	bytes_puts(body, PQgetvalue(result, row, 3));
}

static void
on_result(void *argument, const QueryOutcome *outcome)
{
	query_answer_tags(argument, outcome, "tags", put_extent);
}
