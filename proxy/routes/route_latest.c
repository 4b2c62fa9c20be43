/*
 * route_latest.c
 *	  GET /latest: the last sample of each tag, or of the given ones.
 */
#include "routes/routes.h"

#include "routes/query.h"
#include "loop.h"

static bool latest_end(Exchange *exchange);

const Route route_latest = {
	.path = "/latest",
	.metric = ROUTE_LATEST,
	.access = ACCESS_READ,
	.alone = true,
	.end = latest_end,
	.release = query_release,
};

static void put_sample(Bytes *body, const QueryParameters *parameters, const PGresult *row);

/* Submits the query for all tags, or for the given ones. */
static bool
latest_end(Exchange *exchange)
{
	Loop *loop = loop_of(exchange);
	const QueryParameters *parameters;
	const char *arguments[2];

	if (!query_begin(exchange, QUERY_TAGS | QUERY_TIME | QUERY_PRECISION | QUERY_COMMIT))
		return true;
	parameters = exchange->state;
	arguments[0] = loop->shared->config->table_sql;
	arguments[1] = parameters->tag_array.data;
	if (arguments[1] == NULL && exchange->principal->prefix_length > 0)
	{
		arguments[1] = exchange->principal->prefix;
		query_answer_tags(exchange,
						  "SELECT tag, time, values FROM historian.latest($1::text::regclass) "
						  "WHERE starts_with(tag, $2::text)",
						  2, arguments, "latest", put_sample);
	}
	else if (arguments[1] == NULL)
		query_answer_tags(exchange,
						  "SELECT tag, time, values FROM historian.latest($1::text::regclass)", 1,
						  arguments, "latest", put_sample);
	else
		query_answer_tags(exchange,
						  "SELECT tag, time, values "
						  "FROM historian.latest($1::text::regclass, $2::text[])",
						  2, arguments, "latest", put_sample);
	return true;
}

static void
put_sample(Bytes *body, const QueryParameters *parameters, const PGresult *row)
{
	bytes_puts(body, ",\"time\":");
	query_put_time(body, parameters, PQgetvalue(row, 0, 1), (size_t) PQgetlength(row, 0, 1));
	bytes_puts(body, ",\"values\":");
	if (PQgetisnull(row, 0, 2))
		bytes_puts(body, "null");
	else
		query_put_values(body, PQgetvalue(row, 0, 2), (size_t) PQgetlength(row, 0, 2));
}
