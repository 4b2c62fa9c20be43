/*
 * route_tags.c
 *	  GET /tags: the tags, each with its first and last time and its number of samples.
 */
#include "routes/routes.h"

#include "routes/query.h"
#include "loop.h"

static bool tags_end(Exchange *exchange);

const Route route_tags = {
	.path = "/tags",
	.metric = ROUTE_TAGS,
	.alone = true,
	.end = tags_end,
	.release = query_release,
};

static void put_extent(Bytes *body, const QueryParameters *parameters, const PGresult *row);

static bool
tags_end(Exchange *exchange)
{
	Loop *loop = loop_of(exchange);
	const QueryParameters *parameters;
	const char *arguments[2];

	if (!query_begin(exchange, QUERY_PREFIX | QUERY_TIME))
		return true;
	parameters = exchange->state;
	arguments[0] = loop->shared->config->table_sql;
	arguments[1] = parameters->prefix ? parameters->prefix : "";
	query_answer_tags(exchange,
					  "SELECT tag, first_time, last_time, samples "
					  "FROM historian.tags($1::text::regclass) WHERE starts_with(tag, $2::text)",
					  2, arguments, "tags", put_extent);
	return true;
}

static void
put_extent(Bytes *body, const QueryParameters *parameters, const PGresult *row)
{
	bytes_puts(body, ",\"first\":");
	query_put_time(body, PQgetvalue(row, 0, 1), parameters->string_times);
	bytes_puts(body, ",\"last\":");
	query_put_time(body, PQgetvalue(row, 0, 2), parameters->string_times);
	bytes_puts(body, ",\"samples\":");
	bytes_puts(body, PQgetvalue(row, 0, 3));
}
