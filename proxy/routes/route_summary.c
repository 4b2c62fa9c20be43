/*
 * route_summary.c
 *	  GET /summary: what the samples of a tag in a window amount to.
 */
#include "routes/routes.h"

#include "http/http_answer.h"
#include "http/http_content.h"
#include "loop.h"
#include "routes/query.h"

#include <string.h>

static bool summary_end(Exchange *exchange);
static void on_result(void *argument, const QueryOutcome *outcome);

const Route route_summary = {
	.path = "/summary",
	.metric = ROUTE_SUMMARY,
	.access = ACCESS_READ,
	.alone = true,
	.end = summary_end,
	.release = query_release,
};

/* The columns of a row: one of a value, or one that says that the tag is stored. */
enum Column
{
	COLUMN_VALUE, /* NULL in the latter */
	COLUMN_COUNT,
	COLUMN_MIN,
	COLUMN_MAX,
	COLUMN_MEAN,
	COLUMN_STDDEV,
	COLUMN_QUANTILES,
	COLUMN_DISTINCT,
	COLUMN_NAME,
	COLUMN_UNIT,
	COLUMN_FRACTIONS,
};

#define DEFAULT_FRACTIONS "0.01,0.05,0.25,0.5,0.75,0.95,0.99"
#define MOST_FRACTIONS	  100

/*
 * It is one statement, so that no sample comes in between.  What is not in the window is asked for only
 * if that has nothing.
 */
#define SUMMARY_SQL                                                                                \
	"WITH f AS (SELECT ('{' || $5::text || '}')::float8[] AS fractions), "                         \
	"s AS MATERIALIZED (SELECT s.* FROM f, LATERAL historian.summary("                             \
	"$1::text::regclass, $2::text, $3::bigint, $4::bigint, f.fractions) s) "                       \
	"SELECT s.value, s.count, s.min, s.max, s.mean, s.stddev, s.quantiles, s.approx_distinct, "    \
	"to_json(m.names[s.value]), to_json(m.units[s.value]), f.fractions "                           \
	"FROM f, s LEFT JOIN historian.tag m ON m.relid = $1::text::regclass AND m.tag = $2 "          \
	"UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL "           \
	"FROM historian.latest($1::text::regclass, ARRAY[$2]::text[]) "                                \
	"WHERE NOT EXISTS (SELECT FROM s) ORDER BY 1"

/* Are the quantiles a list of numbers from 0 to 1, not too many? */
static bool
fractions_valid(const char *text)
{
	int count = 1;

	for (const char *c = text; *c != '\0'; c++)
	{
		if (strchr("0123456789.,", *c) == NULL)
			return false;
		count += *c == ',';
	}
	return text[0] != '\0' && count <= MOST_FRACTIONS;
}

static bool
summary_end(Exchange *exchange)
{
	const QueryParameters *parameters;
	char start[24];
	char end[24];
	const char *arguments[] = {loop_of(exchange)->shared->config->table_sql, NULL, start, end,
							   DEFAULT_FRACTIONS};

	if (!query_begin(exchange, QUERY_TAG | QUERY_START | QUERY_END | QUERY_TIME | QUERY_PRECISION |
								   QUERY_COMMIT | QUERY_QUANTILES))
		return true;
	parameters = exchange->state;
	if (parameters->tag == NULL)
		http_problem(exchange, 400, "parameter \"tag\" is missing");
	else if (parameters->quantiles != NULL && !fractions_valid(parameters->quantiles))
		http_problem(exchange, 400,
					 "parameter \"quantiles\" must be at most %d numbers from 0 to 1, such as "
					 "0.5,0.99",
					 MOST_FRACTIONS);
	else if (query_read_window(exchange, exchange->state, false))
	{
		arguments[1] = parameters->tag;
		snprintf(start, sizeof(start), "%lld", (long long) parameters->start_ns);
		snprintf(end, sizeof(end), "%lld", (long long) parameters->end_ns);
		if (parameters->quantiles != NULL)
			arguments[4] = parameters->quantiles;
		query_submit(exchange, SUMMARY_SQL, 5, arguments, NULL, on_result);
	}
	return true;
}

/* Appends ,"member":number; null for NULL, NaN and infinities. */
static void
put_number(Bytes *body, const char *member, const PGresult *result, int row, int column)
{
	const char *text = PQgetvalue(result, row, column);
	bool finite = !PQgetisnull(result, row, column) && strpbrk(text, "NI") == NULL;

	bytes_printf(body, ",\"%s\":%s", member, finite ? text : "null");
}

/* Appends the next element of the text of an array, and moves behind its comma. */
static void
put_element(Bytes *body, const char **element)
{
	size_t length = strcspn(*element, ",}");
	bool finite = length > 0 && strcspn(*element, "NI") >= length;

	if (finite)
		bytes_append(body, *element, length);
	else
		bytes_puts(body, "null");
	*element += length + ((*element)[length] == ',');
}

/* Appends ,"quantiles":{"0.5":..}. */
static void
put_quantiles(Bytes *body, const PGresult *result, int row)
{
	const char *fraction = PQgetvalue(result, row, COLUMN_FRACTIONS) + 1;
	const char *quantile = PQgetvalue(result, row, COLUMN_QUANTILES) + 1;
	bool none = PQgetisnull(result, row, COLUMN_QUANTILES);
	const char *comma = "";

	bytes_puts(body, ",\"quantiles\":{");
	while (!none && *fraction != '}')
	{
		bytes_printf(body, "%s\"", comma);
		put_element(body, &fraction);
		bytes_puts(body, "\":");
		put_element(body, &quantile);
		comma = ",";
	}
	bytes_puts(body, "}");
}

static void
put_value(Bytes *body, const PGresult *result, int row)
{
	bytes_printf(body, "{\"value\":%s", PQgetvalue(result, row, COLUMN_VALUE));
	if (!PQgetisnull(result, row, COLUMN_NAME))
		bytes_printf(body, ",\"name\":%s", PQgetvalue(result, row, COLUMN_NAME));
	if (!PQgetisnull(result, row, COLUMN_UNIT))
		bytes_printf(body, ",\"unit\":%s", PQgetvalue(result, row, COLUMN_UNIT));
	put_number(body, "count", result, row, COLUMN_COUNT);
	put_number(body, "min", result, row, COLUMN_MIN);
	put_number(body, "max", result, row, COLUMN_MAX);
	put_number(body, "mean", result, row, COLUMN_MEAN);
	put_number(body, "stddev", result, row, COLUMN_STDDEV);
	put_quantiles(body, result, row);
	put_number(body, "distinct", result, row, COLUMN_DISTINCT);
	bytes_puts(body, "}");
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
	if (PQntuples(result) == 0)
	{
		http_problem(exchange, 404, "the tag has no values; GET /tags lists those that have");
		return;
	}
	bytes_puts(&body, "{\"tagName\":");
	bytes_json_string(&body, parameters->tag, strlen(parameters->tag));
	bytes_puts(&body, ",\"start\":");
	query_put_time_ns(&body, parameters, parameters->start_ns);
	bytes_puts(&body, ",\"end\":");
	query_put_time_ns(&body, parameters, parameters->end_ns);
	bytes_puts(&body, ",\"values\":[");
	for (int row = 0; row < PQntuples(result); row++)
	{
		if (PQgetisnull(result, row, COLUMN_VALUE))
			continue;
		bytes_puts(&body, row > 0 ? "," : "");
		put_value(&body, result, row);
	}
	bytes_puts(&body, "]}\n");
	http_answer_content(exchange, "application/json", &body, 1);
}
