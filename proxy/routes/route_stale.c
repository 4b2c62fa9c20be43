/*
 * route_stale.c
 *	  GET /stale: the tags that have been silent for longer than allowed.
 *
 * It is what the table says now.  What the watchdog has told may differ: it waits where messages are
 * held up, and after a start.
 */
#include "routes/routes.h"

#include "routes/query.h"
#include "loop.h"

#include <stdio.h>

static bool stale_end(Exchange *exchange);

const Route route_stale = {
	.path = "/stale",
	.metric = ROUTE_STALE,
	.access = ACCESS_READ,
	.alone = true,
	.end = stale_end,
	.release = query_release,
};

/* Lengths of time are texts of seconds, as in GET /tags/{tag}. */
static const char stale_sql[] =
	"SELECT tag, last_time, trim_scale(round(extract(epoch FROM silent_for), 3)) || 's', "
	"trim_scale(extract(epoch FROM allowed)) || 's' "
	"FROM historian.stale($1::text::regclass, nullif($2::text, '')::interval) "
	"WHERE starts_with(tag, $3::text) AND starts_with(tag, $4::text) ORDER BY tag COLLATE \"C\"";

static void put_stale(Bytes *body, const QueryParameters *parameters, const PGresult *row);

static bool
stale_end(Exchange *exchange)
{
	const Config *config = loop_of(exchange)->shared->config;
	uint64_t allowed_ms = atomic_load(&config->stale_after_ms);
	const QueryParameters *parameters;
	char allowed[32] = "";
	const char *arguments[4];

	if (!query_begin(exchange, QUERY_PREFIX | QUERY_TIME | QUERY_PRECISION | QUERY_COMMIT))
		return true;
	parameters = exchange->state;
	if (allowed_ms > 0)
		snprintf(allowed, sizeof(allowed), "%llu ms", (unsigned long long) allowed_ms);
	arguments[0] = config->table_sql;
	arguments[1] = allowed;
	arguments[2] = parameters->prefix ? parameters->prefix : "";
	arguments[3] = exchange->principal->prefix;
	query_answer_tags(exchange, stale_sql, 4, arguments, "stale", put_stale);
	return true;
}

static void
put_stale(Bytes *body, const QueryParameters *parameters, const PGresult *row)
{
	bytes_puts(body, ",\"last\":");
	query_put_time(body, parameters, PQgetvalue(row, 0, 1), (size_t) PQgetlength(row, 0, 1));
	bytes_printf(body, ",\"silent_for\":\"%s\",\"allowed\":\"%s\"", PQgetvalue(row, 0, 2),
				 PQgetvalue(row, 0, 3));
}
