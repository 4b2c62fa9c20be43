/*
 * route_api.c
 *	  GET /api: samples of a tag, or of several, over a window, computed by the database.
 *
 * JSON is answered as the samples come.  CSV needs to know first how many values the widest sample
 * has, and what they are called; one statement answers with these names, and with the samples.
 */
#include "routes/routes.h"

#include "http/http_answer.h"
#include "http/http_content.h"
#include "routes/csv.h"
#include "routes/query.h"
#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SAMPLES		 "1000"
#define DEFAULT_SAMPLE_COUNT 1000
#define MAX_SAMPLES			 10000
#define MAX_ALL_SAMPLES		 100000 /* of all tags, because the answer is made in memory */
#define MAX_VALUE			 1000	/* of a row */

static bool api_end(Exchange *exchange);
static void api_release(Exchange *exchange);

const Route route_api = {
	.path = "/api",
	.metric = ROUTE_API,
	.access = ACCESS_READ,
	.alone = true,
	.end = api_end,
	.release = api_release,
};

/* The part of a tag in the answer, or the whole answer if there is one tag. */
typedef struct Series
{
	char *tag;
	Bytes text; /* with the samples that have come so far */
} Series;

typedef struct Api
{
	QueryParameters parameters; /* must be first: query.c takes the state for them */
	int64_t step_ns;			/* 0: the window is cut into a number of samples */
	char start[24];				/* of the window, as text of nanoseconds */
	char end[24];
	char step[24];
	Series *series;
	int series_count;

	/* of CSV */
	bool csv;
	Bytes lines;   /* the first one, and those of the samples that have come so far */
	int columns;   /* for values */
	bool has_line; /* the first line is complete */
	bool has_tag;  /* a tag is stored */
} Api;

/* What a row of the query for CSV is. */
#define CSV_COLUMN "0" /* the name of a column */
#define CSV_SAMPLE "1"
#define CSV_TAG	   "2" /* a tag that is stored, of those of which there is no sample */

static bool check_parameters(Exchange *exchange);
static bool check_samples(Exchange *exchange);
static bool read_step(Exchange *exchange);
static bool align_window(Api *api);
static int64_t count_periods(const Api *api);
static bool check_form(Exchange *exchange);
static void put_how_to_sample(Bytes *sql, const Api *api);
static void ask_for_csv(Exchange *exchange);
static size_t on_csv_row(void *argument, const PGresult *row);
static void on_csv_result(void *argument, const QueryOutcome *outcome);
static void set_arguments(Exchange *exchange, const char **arguments);
static size_t on_sample(void *argument, const PGresult *row);
static void begin_answer(Bytes *body, const QueryParameters *parameters);
static void on_result(void *argument, const QueryOutcome *outcome);
static void ask_for_missing(Exchange *exchange);
static void on_missing(void *argument, const QueryOutcome *outcome);
static void answer_series(Exchange *exchange);

/* Submits the query for one tag or for several. */
static bool
api_end(Exchange *exchange)
{
	Api *api = memory_new(sizeof(Api));
	QueryParameters *parameters = &api->parameters;
	const char *arguments[6];
	Bytes sql = {0};

	exchange->state = api;
	if (!query_parameters_read(exchange, parameters,
							   QUERY_TAGS | QUERY_START | QUERY_END | QUERY_SAMPLES | QUERY_STEP |
								   QUERY_ALIGN | QUERY_METHOD | QUERY_TIME | QUERY_PRECISION |
								   QUERY_VALUE | QUERY_FORMAT | QUERY_COMMIT) ||
		!check_parameters(exchange))
		return true;
	if (api->csv)
	{
		ask_for_csv(exchange);
		return true;
	}

	set_arguments(exchange, arguments);
	if (parameters->tag_count == 1)
		arguments[1] = parameters->tag;
	bytes_printf(&sql, parameters->tag_count > 1
						   ? "SELECT time, values, tag FROM historian.downsample_many("
							 "$1::text::regclass, $2::text[], $3::bigint, $4::bigint"
						   : "SELECT time, values FROM historian.downsample($1::text::regclass, "
							 "$2::text, $3::bigint, $4::bigint");
	put_how_to_sample(&sql, api);
	query_submit(exchange, bytes_text(&sql), 6, arguments, on_sample, on_result);
	bytes_free(&sql);
	return true;
}

static void
api_release(Exchange *exchange)
{
	Api *api = exchange->state;

	if (api == NULL)
		return;
	query_parameters_free(&api->parameters);
	for (int i = 0; i < api->series_count; i++)
	{
		free(api->series[i].tag);
		bytes_free(&api->series[i].text);
	}
	free(api->series);
	bytes_free(&api->lines);
	free(api);
	exchange->state = NULL;
}

/* The first arguments of the queries: the table, the tags, and how to sample them. */
static void
set_arguments(Exchange *exchange, const char **arguments)
{
	Api *api = exchange->state;
	const QueryParameters *parameters = &api->parameters;

	snprintf(api->start, sizeof(api->start), "%lld", (long long) parameters->start_ns);
	snprintf(api->end, sizeof(api->end), "%lld", (long long) parameters->end_ns);
	arguments[0] = loop_of(exchange)->shared->config->table_sql;
	arguments[1] = parameters->tag_array.data;
	arguments[2] = api->start;
	arguments[3] = api->end;
	snprintf(api->step, sizeof(api->step), "%lld", (long long) api->step_ns);
	arguments[4] = api->step_ns != 0	 ? api->step
				   : parameters->samples ? parameters->samples
										 : DEFAULT_SAMPLES;
	arguments[5] = parameters->method ? parameters->method : "last";
}

/* Appends the last arguments of downsample ($5, and the method in $6) and the bracket after them. */
static void
put_how_to_sample(Bytes *sql, const Api *api)
{
	const char *value = api->parameters.value;

	bytes_puts(sql, api->step_ns != 0 ? ", $6::text, $5::bigint" : ", $5::integer, $6::text");
	if (value != NULL)
		bytes_printf(sql, ", '%s'::integer", value); /* digits */
	bytes_puts(sql, ")");
}

/* If a parameter is missing or wrong, answers 400 and returns false. */
static bool
check_parameters(Exchange *exchange)
{
	QueryParameters *parameters = exchange->state;

	if (parameters->tag != NULL)
		return check_form(exchange) && query_read_window(exchange, parameters, false) &&
			   check_samples(exchange);
	http_problem(exchange, 400, "parameter \"tag\" is missing");
	return false;
}

/* Checks format and value. */
static bool
check_form(Exchange *exchange)
{
	Api *api = exchange->state;
	const QueryParameters *parameters = &api->parameters;
	const char *format = parameters->format != NULL ? parameters->format : "json";
	int64_t value = 1;

	api->csv = strcmp(format, "csv") == 0;
	if (!api->csv && strcmp(format, "json") != 0)
		http_problem(exchange, 400, "parameter \"format\" must be json or csv");
	else if (parameters->value != NULL &&
			 (!query_integer(parameters->value, &value) || value < 1 || value > MAX_VALUE))
		http_problem(exchange, 400, "parameter \"value\" must be an integer from 1 to %d",
					 MAX_VALUE);
	else
		return true;
	return false;
}

/* Checks samples, step and align; a window that is aligned grows. */
static bool
check_samples(Exchange *exchange)
{
	Api *api = exchange->state;
	const QueryParameters *parameters = &api->parameters;
	int64_t samples = DEFAULT_SAMPLE_COUNT;

	if (!read_step(exchange))
		return false;
	if (parameters->step != NULL)
		samples = count_periods(api);
	else if (parameters->samples != NULL && !query_integer(parameters->samples, &samples))
		samples = 0;
	if (parameters->step != NULL && samples > MAX_SAMPLES)
		http_problem(exchange, 400,
					 "parameter \"step\" is too short: the window has more than %d periods",
					 MAX_SAMPLES);
	else if (samples < 1 || samples > MAX_SAMPLES)
		http_problem(exchange, 400, "parameter \"samples\" must be an integer from 1 to %d",
					 MAX_SAMPLES);
	else if (samples * parameters->tag_count > MAX_ALL_SAMPLES)
		http_problem(exchange, 400,
					 "parameter \"%s\": the samples times the number of tags are over %d",
					 parameters->step != NULL ? "step" : "samples", MAX_ALL_SAMPLES);
	else
		return true;
	return false;
}

/* Reads step and align; answers 400 and returns false if they are wrong. */
static bool
read_step(Exchange *exchange)
{
	Api *api = exchange->state;
	const QueryParameters *parameters = &api->parameters;
	const char *align = parameters->align != NULL ? parameters->align : "false";
	bool aligned = strcmp(align, "true") == 0;
	const char *wrong = NULL;

	if (parameters->step != NULL)
	{
		wrong = timestamp_read_length(parameters->step, strlen(parameters->step), &api->step_ns);
		if (wrong == NULL && api->step_ns == 0)
			wrong = "must be longer than 0";
	}
	if (wrong != NULL)
		http_problem(exchange, 400, "parameter \"step\" %s", wrong);
	else if (parameters->step != NULL && parameters->samples != NULL)
		http_problem(exchange, 400, "parameter \"step\" takes the place of \"samples\": give one");
	else if (!aligned && strcmp(align, "false") != 0)
		http_problem(exchange, 400, "parameter \"align\" must be true or false");
	else if (aligned && parameters->step == NULL)
		http_problem(exchange, 400, "parameter \"align\" needs \"step\"");
	else if (aligned && !align_window(api))
		http_problem(
			exchange, 400,
			"parameter \"align\" makes the window larger than 64 bits of nanoseconds hold");
	else
		return true;
	return false;
}

/* Moves start and end outwards to multiples of the step; false if these are no times. */
static bool
align_window(Api *api)
{
	QueryParameters *parameters = &api->parameters;
	int64_t first = timestamp_in_unit(parameters->start_ns, api->step_ns);
	int64_t last = timestamp_in_unit(parameters->end_ns, api->step_ns);

	last += parameters->end_ns % api->step_ns != 0;
	return !__builtin_mul_overflow(first, api->step_ns, &parameters->start_ns) &&
		   !__builtin_mul_overflow(last, api->step_ns, &parameters->end_ns);
}

/* How many periods the step makes of the window; the last one may be shorter. */
static int64_t
count_periods(const Api *api)
{
	uint64_t span = (uint64_t) api->parameters.end_ns - (uint64_t) api->parameters.start_ns;
	uint64_t step = (uint64_t) api->step_ns;
	uint64_t count = span / step + (span % step != 0);

	return count > MAX_SAMPLES ? MAX_SAMPLES + 1 : (int64_t) count;
}

/* Begins the part of a tag in the answer. */
static Series *
add_series(Api *api, const char *tag)
{
	Series *series;

	if (api->series == NULL)
		api->series = memory_new((size_t) api->parameters.tag_count * sizeof(Series));
	series = &api->series[api->series_count++];
	series->tag = memory_strdup(tag);
	if (api->parameters.tag_count > 1)
	{
		bytes_puts(&series->text, ",{\"tagName\":");
		bytes_json_string(&series->text, tag, strlen(tag));
		bytes_puts(&series->text, ",");
	}
	else
		begin_answer(&series->text, &api->parameters);
	bytes_puts(&series->text, "\"samples\":[");
	return series;
}

static void
put_sample(Bytes *body, const QueryParameters *parameters, const PGresult *row)
{
	bytes_puts(body, "{\"time\":");
	query_put_time(body, parameters, PQgetvalue(row, 0, 0), (size_t) PQgetlength(row, 0, 0));
	bytes_puts(body, ",\"values\":");
	if (PQgetisnull(row, 0, 1))
		bytes_puts(body, "null");
	else
		query_put_values(body, PQgetvalue(row, 0, 1), (size_t) PQgetlength(row, 0, 1));
	bytes_puts(body, "}");
}

static bool
has_series(const Api *api, const char *tag)
{
	for (int i = 0; i < api->series_count; i++)
	{
		if (strcmp(api->series[i].tag, tag) == 0)
			return true;
	}
	return false;
}

/*
 * Adds a sample, or a stored tag without samples.  Samples come by tag; the query for a single tag
 * has no column for it.
 */
static size_t
on_sample(void *argument, const PGresult *row)
{
	Api *api = ((Exchange *) argument)->state;
	const char *tag = PQnfields(row) > 2 ? PQgetvalue(row, 0, 2) : api->parameters.tag;
	Series *series = api->series_count > 0 ? &api->series[api->series_count - 1] : NULL;
	size_t before = 0;

	if (PQgetisnull(row, 0, 0))
		return has_series(api, tag) ? 0 : add_series(api, tag)->text.length;
	if (series == NULL || strcmp(series->tag, tag) != 0)
		series = add_series(api, tag);
	else
	{
		before = series->text.length;
		bytes_puts(&series->text, ",");
	}
	put_sample(&series->text, &api->parameters, row);
	return series->text.length - before;
}

/* Answers, unless tags had no samples. */
static void
on_result(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	Api *api = exchange->state;

	if (outcome->result == NULL)
		query_answer_failure(exchange, outcome);
	else if (api->series_count == api->parameters.tag_count)
		answer_series(exchange);
	else
		ask_for_missing(exchange);
}

/*
 * Asks which of the tags without samples are stored at all: methods that select rows return none if
 * the window has none.  A tag's first rows may have been committed since, and most methods have
 * samples of it then.  So both are asked in one statement, which has one snapshot.  The rows of
 * stored tags come after the samples, and have no time.
 */
static void
ask_for_missing(Exchange *exchange)
{
	Api *api = exchange->state;
	const char *arguments[7];
	Bytes found = {0};
	Bytes sql = {0};

	for (int i = 0; i < api->series_count; i++)
		query_array_add(&found, api->series[i].tag, strlen(api->series[i].tag));
	set_arguments(exchange, arguments);
	arguments[6] = found.length > 0 ? bytes_text(&found) : "{}";
	bytes_printf(&sql, "WITH missing AS MATERIALIZED (SELECT ARRAY(SELECT unnest($2::text[]) "
					   "EXCEPT SELECT unnest($7::text[])) AS tags) "
					   "SELECT s.time, s.values, s.tag FROM missing, historian.downsample_many("
					   "$1::text::regclass, missing.tags, $3::bigint, $4::bigint");
	put_how_to_sample(&sql, api);
	bytes_puts(&sql, " s UNION ALL SELECT NULL, NULL, l.tag FROM missing, historian.latest("
					 "$1::text::regclass, missing.tags) l");
	query_submit(exchange, bytes_text(&sql), 7, arguments, on_sample, on_missing);
	bytes_free(&sql);
	bytes_free(&found);
}

static int
by_tag(const void *a, const void *b)
{
	return strcmp(((const Series *) a)->tag, ((const Series *) b)->tag);
}

static void
answer_not_stored(Exchange *exchange)
{
	const Api *api = exchange->state;

	http_problem(exchange, 404,
				 api->parameters.tag_count > 1
					 ? "none of the tags has values; GET /tags lists those that have"
					 : "the tag has no values; GET /tags lists those that have");
}

/* Answers with what is known of all tags now. */
static void
on_missing(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	Api *api = exchange->state;

	if (outcome->result == NULL)
		query_answer_failure(exchange, outcome);
	else if (api->series_count == 0)
		answer_not_stored(exchange);
	else
	{
		qsort(api->series, (size_t) api->series_count, sizeof(Series), by_tag);
		answer_series(exchange);
	}
}

static void
begin_answer(Bytes *body, const QueryParameters *parameters)
{
	bytes_puts(body, "{");
	if (parameters->tag_count == 1)
	{
		bytes_puts(body, "\"tagName\":");
		bytes_json_string(body, parameters->tag, strlen(parameters->tag));
		bytes_puts(body, ",");
	}
	bytes_puts(body, "\"start\":");
	query_put_time_ns(body, parameters, parameters->start_ns);
	bytes_puts(body, ",\"end\":");
	query_put_time_ns(body, parameters, parameters->end_ns);
	bytes_puts(body, ",");
}

/* Answers with the parts of all tags. */
static void
answer_series(Exchange *exchange)
{
	Api *api = exchange->state;
	int count = api->series_count;
	Bytes *pieces;

	for (int i = 0; i < count; i++)
		bytes_puts(&api->series[i].text, "]}");
	if (api->parameters.tag_count == 1)
	{
		bytes_puts(&api->series[0].text, "\n");
		http_answer_content(exchange, "application/json", &api->series[0].text, 1);
		return;
	}
	pieces = memory_new(((size_t) count + 2) * sizeof(Bytes));
	begin_answer(&pieces[0], &api->parameters);
	bytes_puts(&pieces[0], "\"series\":");
	for (int i = 0; i < count; i++)
	{
		pieces[i + 1] = api->series[i].text;
		api->series[i].text = (Bytes){0};
	}
	pieces[1].data[0] = '['; /* replaces the comma before the first tag */
	bytes_puts(&pieces[count + 1], "]}\n");
	http_answer_content(exchange, "application/json", pieces, count + 2);
	free(pieces);
}

/*
 * Asks for the names of the columns, then for the samples.  A column has a name if it has that name
 * for all tags.  Without samples it asks whether the tags are stored.  It is one statement, so that
 * no sample comes in between.
 */
static void
ask_for_csv(Exchange *exchange)
{
	Api *api = exchange->state;
	bool several = api->parameters.tag_count > 1;
	const char *arguments[6];
	Bytes sql = {0};

	set_arguments(exchange, arguments);
	bytes_printf(&sql,
				 "WITH s AS MATERIALIZED (SELECT %s AS tag, d.time, d.values, d.nr "
				 "FROM historian.%s, $3::bigint, $4::bigint",
				 several ? "d.tag" : "($2::text[])[1]",
				 several ? "downsample_many($1::text::regclass, $2::text[]"
						 : "downsample($1::text::regclass, ($2::text[])[1]");
	put_how_to_sample(&sql, api);
	bytes_printf(&sql, " WITH ORDINALITY AS d (%stime, values, nr)), ", several ? "tag, " : "");
	bytes_puts(
		&sql,
		"n AS (SELECT coalesce(array_agg(name ORDER BY k), '{}') AS names FROM ("
		"SELECT k, CASE WHEN count(name) = (SELECT count(DISTINCT t) FROM unnest($2::text[]) t) "
		"AND min(name) = max(name) THEN min(name) END AS name "
		"FROM historian.tag m, unnest(m.names) WITH ORDINALITY u (name, k) "
		"WHERE m.relid = $1::text::regclass AND m.tag = ANY ($2::text[]) GROUP BY k) x) "
		"SELECT kind, tag, time, values FROM ("
		"SELECT " CSV_COLUMN
		" AS kind, c AS tag, NULL::bigint AS time, NULL::float8[] AS values, nr "
		"FROM n, unnest(historian.value_columns(names, greatest(cardinality(names), "
		"(SELECT max(cardinality(values)) FROM s)))) WITH ORDINALITY AS c (c, nr) "
		"UNION ALL SELECT " CSV_SAMPLE ", tag, time, values, nr FROM s "
		"UNION ALL SELECT " CSV_TAG ", l.tag, NULL, NULL, 0 "
		"FROM historian.latest($1::text::regclass, $2::text[]) l WHERE NOT EXISTS (SELECT FROM s)"
		") a ORDER BY kind, nr");
	bytes_puts(&api->lines, "time,tag");
	query_submit(exchange, bytes_text(&sql), 6, arguments, on_csv_row, on_csv_result);
	bytes_free(&sql);
}

/* Ends the first line, when all its columns have come. */
static void
end_first_line(Api *api)
{
	if (!api->has_line)
		bytes_puts(&api->lines, "\n");
	api->has_line = true;
}

static size_t
on_csv_row(void *argument, const PGresult *row)
{
	Api *api = ((Exchange *) argument)->state;
	Bytes *lines = &api->lines;
	const char *kind = PQgetvalue(row, 0, 0);
	size_t before = lines->length;
	char time[TIMESTAMP_TEXT_BYTES];
	int64_t time_ns;

	if (strcmp(kind, CSV_COLUMN) == 0)
	{
		bytes_puts(lines, ",");
		csv_put_field(lines, PQgetvalue(row, 0, 1));
		api->columns++;
		return lines->length - before;
	}
	end_first_line(api);
	api->has_tag = true;
	if (strcmp(kind, CSV_SAMPLE) == 0 && query_integer(PQgetvalue(row, 0, 2), &time_ns))
	{
		query_write_time(&api->parameters, time_ns, time);
		bytes_puts(lines, time);
		bytes_puts(lines, ",");
		csv_put_field(lines, PQgetvalue(row, 0, 1));
		csv_put_values(lines, PQgetisnull(row, 0, 3) ? NULL : PQgetvalue(row, 0, 3), api->columns);
		bytes_puts(lines, "\n");
	}
	return lines->length - before;
}

static void
on_csv_result(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	Api *api = exchange->state;

	if (outcome->result == NULL)
		query_answer_failure(exchange, outcome);
	else if (!api->has_tag)
		answer_not_stored(exchange);
	else
		http_answer_content(exchange, CSV_CONTENT_TYPE, &api->lines, 1);
}
