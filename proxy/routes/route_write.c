/*
 * route_write.c
 *	  POST /write and /api/v2/write: points of InfluxDB's line protocol; and what its clients ask
 *	  when they start: /ping, and /query for the list of databases.
 *
 * There is one table: databases, buckets, retention policies and users are accepted and ignored.
 * As with InfluxDB, the good lines of a body are stored, and an answer of 400 says which were not.
 * An answer of
 * 204 means that the points are committed, so that ack=committed is the default.
 */
#include "routes/routes.h"

#include "http/http_answer.h"
#include "routes/intake.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_QUERY_BYTES 4096

static void write_begin(Exchange *exchange);
static bool ping_end(Exchange *exchange);
static void influx_query_begin(Exchange *exchange);
static size_t influx_query_body(Exchange *exchange, const char *data, size_t length);
static bool influx_query_end(Exchange *exchange);
static void influx_query_release(Exchange *exchange);

#define TAKES_POINTS                                                                               \
	.metric = ROUTE_WRITE, .access = ACCESS_WRITE, .post = true, .brings_messages = true,          \
	.begin = write_begin, .body = intake_body, .end = intake_end, .release = intake_release,       \
	.block_timeout = intake_block_timeout

const Route route_write = {.path = "/write", TAKES_POINTS};
const Route route_write_v2 = {.path = "/api/v2/write", TAKES_POINTS};
const Route route_ping = {.path = "/ping",
						  .metric = ROUTE_STATUS,
						  .health = true,
						  .access = ACCESS_OPEN,
						  .end = ping_end};
const Route route_influx_query = {
	.path = "/query",
	.metric = ROUTE_OTHER,
	.access = ACCESS_NAMED,
	.post = true,
	.get = true,
	.begin = influx_query_begin,
	.body = influx_query_body,
	.end = influx_query_end,
	.release = influx_query_release,
};

/* Where the parameters of the route go. */
typedef struct WriteParameters
{
	LineRules *rules;
	TimestampRules *times;
} WriteParameters;

static bool read_parameter(void *argument, const char *name, const char *value);
static void answer_refused(Exchange *exchange);
static void answer(Exchange *exchange);

/* Prepares an intake for points by the parameters of the request. */
static void
write_begin(Exchange *exchange)
{
	Intake *intake = intake_new(exchange);
	const LoopShared *shared = intake->loop->shared;
	LineRules rules = {
		.skip_strings = shared->config->skip_strings,
		.merge = shared->points,
		.writer = point_merge_writer(shared->points),
		.tag_prefix = exchange->principal->prefix,
		.tag_prefix_length = exchange->principal->prefix_length,
	};
	WriteParameters own = {&rules, &intake->times};

	intake->partial = true;
	intake->committed = true;
	intake->answer = answer;
	intake->answer_refused = answer_refused;
	if (!intake_parameters(exchange, read_parameter, &own,
						   "precision=ns, us, ms, s, m or h, ack=committed or received, "
						   "partial=true or false, strings=refuse or ignore, and ignores db, rp, "
						   "consistency, u, p, bucket, "
						   "org and orgID") ||
		!intake_begin(exchange, BODY_POINTS))
		return;
	rules.now_ns = timestamp_now();
	intake->decoder.points = rules;
}

/* Reads the unit of timestamps, which may be of more names than for other routes. */
static bool
read_precision(const char *name, TimestampRules *times)
{
	if (strcmp(name, "n") == 0 || strcmp(name, "u") == 0)
		return timestamp_read_precision(name[0] == 'n' ? "ns" : "us", times);
	if (strcmp(name, "m") != 0 && strcmp(name, "h") != 0)
		return timestamp_read_precision(name, times);
	*times = timestamp_rules(timestamp_unit_ns(name, 1), false);
	return true;
}

static bool
is_ignored(const char *name)
{
	static const char *const names[] = {"db", "rp",		"consistency", "u",
										"p",  "bucket", "org",		   "orgID"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static bool
read_parameter(void *argument, const char *name, const char *value)
{
	const WriteParameters *own = argument;

	if (strcmp(name, "strings") == 0)
	{
		own->rules->skip_strings = strcmp(value, "ignore") == 0;
		return own->rules->skip_strings || strcmp(value, "refuse") == 0;
	}
	return is_ignored(name) ||
		   (strcmp(name, "precision") == 0 && read_precision(value, own->times));
}

/* Nothing of a strict body is stored, so that later lines must not be merged with its points. */
static void
answer_refused(Exchange *exchange)
{
	point_merge_forget(loop_of(exchange)->shared->points);
	answer(exchange);
}

/*
 * Answers a write.  The detail is repeated in the members that clients of InfluxDB 1 and 2 look
 * for.
 */
static void
answer(Exchange *exchange)
{
	const Intake *intake = exchange->state;
	const BodyError *error = intake->decoder.errors;
	int status = !intake->partial && error != NULL && error->message.forbidden ? 403 : 400;
	Bytes position = {0};
	Bytes member = {0};
	Bytes detail = {0};
	Bytes body = {0};

	if (intake->decoder.error_count == 0)
	{
		http_answer(exchange, intake->committed ? 204 : 202, NULL, NULL, NULL, 0);
		return;
	}
	intake_describe_position(&intake->decoder, error, &position, &member);
	bytes_printf(&detail, "partial write: %s%s; %llu %s stored, %llu %s not", bytes_text(&position),
				 error->message.detail, (unsigned long long) intake->accepted,
				 intake->accepted == 1 ? "point was" : "points were",
				 (unsigned long long) intake->decoder.error_count,
				 intake->decoder.error_count == 1 ? "line was" : "lines were");
	http_problem_begin(exchange, &body, status, bytes_text(&detail));
	bytes_puts(&body, ",\"error\":");
	bytes_json_string(&body, detail.data, detail.length);
	bytes_puts(&body, ",\"code\":\"invalid\",\"message\":");
	bytes_json_string(&body, detail.data, detail.length);
	intake_put_partial(intake, "rejected", &body);
	bytes_free(&position);
	bytes_free(&member);
	bytes_free(&detail);
	http_problem_body(exchange, status, &body);
}

static bool
ping_end(Exchange *exchange)
{
	http_answer(exchange, 204, NULL, "X-Influxdb-Version: 1.8-historiand\r\n", NULL, 0);
	return true;
}

/*
 * GET and POST /query
 */

static void
influx_query_begin(Exchange *exchange)
{
	exchange->state = memory_new(sizeof(Bytes));
	bytes_puts(exchange->state, "?"); /* the body is read like the parameters of a target */
}

static size_t
influx_query_body(Exchange *exchange, const char *data, size_t length)
{
	Bytes *body = exchange->state;

	if (body->length + length <= MAX_QUERY_BYTES)
		bytes_append(body, data, length);
	else
		http_problem(exchange, 413, "a query has at most %d bytes", MAX_QUERY_BYTES);
	return length;
}

/* The statements that clients send before they write. */
typedef enum Statement
{
	STATEMENT_NONE, /* there is no parameter q */
	STATEMENT_UNKNOWN,
	STATEMENT_DATABASES, /* is answered with the table as the only database */
	STATEMENT_NOTHING,	 /* does nothing, or lists nothing */
} Statement;

static Statement
classify(const char *query)
{
	static const char *const nothing[] = {"CREATE ", "ALTER ", "SHOW "};

	query += strspn(query, " \t\r\n");
	if (strncasecmp(query, "SHOW DATABASES", 14) == 0)
		return STATEMENT_DATABASES;
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
	{
		if (strncasecmp(query, nothing[i], strlen(nothing[i])) == 0)
			return STATEMENT_NOTHING;
	}
	return STATEMENT_UNKNOWN;
}

/* Finds the statement in the parameter q of a target or a body. */
static Statement
find_statement(const Bytes *target)
{
	HttpRequest request = {.target = *target};
	size_t position = 0;
	Bytes name = {0};
	Bytes value = {0};
	bool valid;
	Statement statement = STATEMENT_NONE;

	while (statement == STATEMENT_NONE &&
		   http_request_parameter(&request, &position, &name, &value, &valid))
	{
		if (strcmp(name.data, "q") == 0)
			statement = valid ? classify(value.data) : STATEMENT_UNKNOWN;
	}
	bytes_free(&name);
	bytes_free(&value);
	return statement;
}

/* Answers a statement, which is in the target or in the body. */
static bool
influx_query_end(Exchange *exchange)
{
	static const char refused[] =
		"only CREATE, ALTER and SHOW are answered, which do nothing and list the table as a "
		"database; read with GET /api, /latest or /export";
	const Config *config = loop_of(exchange)->shared->config;
	Statement statement = find_statement(&exchange->request.target);
	Bytes body = {0};

	if (statement == STATEMENT_NONE)
		statement = find_statement(exchange->state);
	if (statement == STATEMENT_NONE || statement == STATEMENT_UNKNOWN)
	{
		http_problem_begin(exchange, &body, 400, refused);
		bytes_printf(&body, ",\"error\":\"%s\"", refused);
		http_problem_body(exchange, 400, &body);
		return true;
	}
	bytes_puts(&body, "{\"results\":[{\"statement_id\":0");
	if (statement == STATEMENT_DATABASES)
	{
		bytes_puts(&body,
				   ",\"series\":[{\"name\":\"databases\",\"columns\":[\"name\"],\"values\":[[");
		bytes_json_string(&body, config->table, strlen(config->table));
		bytes_puts(&body, "]]}]");
	}
	bytes_puts(&body, "}]}\n");
	http_answer(exchange, 200, "application/json", NULL, body.data, body.length);
	bytes_free(&body);
	return true;
}

static void
influx_query_release(Exchange *exchange)
{
	bytes_free(exchange->state);
	free(exchange->state);
	exchange->state = NULL;
}
