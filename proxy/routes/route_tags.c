/*
 * route_tags.c
 *	  GET /tags: the tags, each with its first and last time, its number of samples, and what is
 *	  known of it.
 */
#include "routes/routes.h"

#include "routes/query.h"
#include "routes/tag_metadata.h"
#include "loop.h"

static bool tags_end(Exchange *exchange);

const Route route_tags = {
	.path = "/tags",
	.metric = ROUTE_TAGS,
	.access = ACCESS_READ,
	.alone = true,
	.end = tags_end,
	.release = query_release,
};

#define TAGS_SQL                                                                                   \
	"SELECT t.tag, t.first_time, t.last_time, t.samples, " TAG_METADATA_COLUMNS                    \
	" FROM historian.tags($1::text::regclass) t"                                                   \
	" LEFT JOIN historian.tag m ON m.relid = $1::text::regclass AND m.tag = t.tag"
#define ORDER_SQL " ORDER BY t.tag COLLATE \"C\""

/* PostgreSQL guesses that a prefix leaves few tags, and would look up each of all of them. */
#define ALL_SQL	   TAGS_SQL " WHERE $2::text = ''" ORDER_SQL
#define PREFIX_SQL TAGS_SQL " WHERE starts_with(t.tag, $2::text)" ORDER_SQL

/* For a principal with a prefix of its own. */
#define OWN_SQL                                                                                    \
	TAGS_SQL " WHERE starts_with(t.tag, $2::text) AND starts_with(t.tag, $3::text)" ORDER_SQL

static void put_tag(Bytes *body, const QueryParameters *parameters, const PGresult *row);

static bool
tags_end(Exchange *exchange)
{
	Loop *loop = loop_of(exchange);
	const QueryParameters *parameters;
	const char *arguments[3];
	bool own = exchange->principal->prefix_length > 0;

	if (!query_begin(exchange, QUERY_PREFIX | QUERY_TIME | QUERY_PRECISION | QUERY_COMMIT))
		return true;
	parameters = exchange->state;
	arguments[0] = loop->shared->config->table_sql;
	arguments[1] = parameters->prefix ? parameters->prefix : "";
	arguments[2] = exchange->principal->prefix;
	query_answer_tags(exchange,
					  own				   ? OWN_SQL
					  : parameters->prefix ? PREFIX_SQL
										   : ALL_SQL,
					  own ? 3 : 2, arguments, "tags", put_tag);
	return true;
}

static void
put_tag(Bytes *body, const QueryParameters *parameters, const PGresult *row)
{
	bytes_puts(body, ",\"first\":");
	query_put_time(body, parameters, PQgetvalue(row, 0, 1), (size_t) PQgetlength(row, 0, 1));
	bytes_puts(body, ",\"last\":");
	query_put_time(body, parameters, PQgetvalue(row, 0, 2), (size_t) PQgetlength(row, 0, 2));
	bytes_puts(body, ",\"samples\":");
	bytes_puts(body, PQgetvalue(row, 0, 3));
	tag_metadata_put(body, row, 4, false);
}
