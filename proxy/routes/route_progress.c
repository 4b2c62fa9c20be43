/*
 * route_progress.c
 *	  GET /progress: how many messages of each stream are committed; waits until a stream is complete.
 *
 * What is committed is asked of the server that loads, never of a standby.  A stream is said to be
 * complete by one answer of PostgreSQL, if before the question all messages of the stream that this
 * process had accepted were loaded, and after the answer it has not accepted any more.  So the
 * answer counts every message that was acknowledged here before it, and every one that any server
 * had committed when PostgreSQL took its snapshot.
 *
 * A request that waits asks when the time without a commit can be over at the earliest.  Only what
 * must be noticed sooner is asked for in intervals: expect=, and whether the buffer is loaded.
 */
#include "routes/routes.h"

#include "base/config.h"
#include "http/http_answer.h"
#include "http/http_authorize.h"
#include "http/http_content.h"
#include "routes/query.h"
#include "loop.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST_WAIT_MS UINT64_C(3600000)
#define DEFAULT_WAIT_MS UINT64_C(60000)
#define TICK_MS			100 /* how often a request that waits is looked at */
#define ASK_MS			250 /* how often it asks for expect=, or while messages are buffered */

static bool progress_end(Exchange *exchange);
static void progress_release(Exchange *exchange);

const Route route_progress = {
	.path = "/progress",
	.metric = ROUTE_PROGRESS,
	.access = ACCESS_NAMED,
	.alone = true,
	.end = progress_end,
	.release = progress_release,
};

typedef struct Progress
{
	QueryParameters parameters; /* must be first: query.c takes the state for them */
	bool waits;
	bool has_quiet;
	bool has_expect;
	uint64_t quiet_ms; /* that must pass without a commit */
	int64_t expect;
	uint64_t deadline_ms;
	uint64_t next_ms;  /* when PostgreSQL is asked next */
	uv_timer_t *timer; /* while it waits */
	uint64_t accepted; /* messages of the stream, when PostgreSQL was asked */
	bool settled;	   /* all of them were loaded then */
	uint64_t total;	   /* of the list */
	bool has_row;
} Progress;

static bool read_wait(Exchange *exchange, Progress *progress);
static void begin_wait(Exchange *exchange, Progress *progress);
static void ask_all(Exchange *exchange);
static void ask(Exchange *exchange);
static void on_timer(uv_timer_t *timer);
static size_t on_stream(void *argument, const PGresult *row);
static void on_all(void *argument, const QueryOutcome *outcome);
static void on_answer(void *argument, const QueryOutcome *outcome);

static bool
progress_end(Exchange *exchange)
{
	Progress *progress = memory_new(sizeof(Progress));
	const QueryParameters *parameters = &progress->parameters;
	const char *name;

	exchange->state = progress;
	if (!query_parameters_read(exchange, &progress->parameters,
							   QUERY_STREAM | QUERY_QUIET_FOR | QUERY_TIMEOUT | QUERY_EXPECT |
								   QUERY_TIME | QUERY_PRECISION))
		return true;
	name = parameters->stream;
	if (name == NULL && (parameters->quiet_for != NULL || parameters->expect != NULL ||
						 parameters->timeout != NULL))
		http_problem(
			exchange, 400,
			"\"quiet_for\", \"expect\" and \"timeout\" need the name of a stream (\"stream\")");
	else if (name == NULL)
		ask_all(exchange);
	else if (!stream_name_valid(name, strlen(name)))
		http_problem(exchange, 400,
					 "parameter \"stream\" must have at most 128 printable ASCII characters");
	else if (!principal_may_tag(exchange->principal, name, strlen(name)))
		http_authorize_refuse_tag(exchange);
	else if (read_wait(exchange, progress))
	{
		begin_wait(exchange, progress);
		ask(exchange);
	}
	return true;
}

static void
on_timer_closed(uv_handle_t *timer)
{
	free(timer);
}

static void
progress_release(Exchange *exchange)
{
	Progress *progress = exchange->state;

	if (progress == NULL)
		return;
	if (progress->timer != NULL)
		uv_close((uv_handle_t *) progress->timer, on_timer_closed);
	query_parameters_free(&progress->parameters);
	free(progress);
	exchange->state = NULL;
}

/* Reads for what the request waits; answers 400 and returns false if that is wrong. */
static bool
read_wait(Exchange *exchange, Progress *progress)
{
	const QueryParameters *parameters = &progress->parameters;
	uint64_t wait_ms = DEFAULT_WAIT_MS;
	const char *wrong = NULL;

	progress->has_quiet = parameters->quiet_for != NULL;
	progress->has_expect = parameters->expect != NULL;
	progress->waits = progress->has_quiet || progress->has_expect;
	if (progress->has_quiet && !config_read_duration(parameters->quiet_for, &progress->quiet_ms))
		wrong = "\"quiet_for\" must be a duration with its unit, such as 500ms, 30s or 5min";
	else if (progress->has_expect &&
			 (!query_integer(parameters->expect, &progress->expect) || progress->expect < 0))
		wrong = "\"expect\" must be a number of messages";
	else if (parameters->timeout != NULL && !config_read_duration(parameters->timeout, &wait_ms))
		wrong = "\"timeout\" must be a duration with its unit, such as 10s or 5min";
	else if (parameters->timeout != NULL && !progress->waits)
		wrong = "\"timeout\" needs \"quiet_for\" or \"expect\"";
	else if (wait_ms > LONGEST_WAIT_MS || progress->quiet_ms > LONGEST_WAIT_MS)
		wrong = "\"timeout\" and \"quiet_for\" must be at most 1h";
	progress->deadline_ms = uv_now(loop_of(exchange)->http.uv) + wait_ms;
	if (wrong != NULL)
		http_problem(exchange, 400, "parameter %s", wrong);
	return wrong == NULL;
}

/* Starts the timer if the request waits. */
static void
begin_wait(Exchange *exchange, Progress *progress)
{
	if (!progress->waits)
		return;
	progress->timer = memory_new(sizeof(uv_timer_t));
	uv_timer_init(loop_of(exchange)->http.uv, progress->timer);
	progress->timer->data = exchange;
	uv_timer_start(progress->timer, on_timer, TICK_MS, TICK_MS);
}

static void
ask_all(Exchange *exchange)
{
	Loop *loop = loop_of(exchange);
	Progress *progress = exchange->state;
	const char *arguments[] = {loop->shared->config->table_sql, exchange->principal->prefix};

	bytes_puts(&progress->parameters.body, "{\"streams\":[");
	query_submit_write(exchange,
					   "SELECT stream, messages, historian.to_ns(last_commit) "
					   "FROM historian.progress($1::text::regclass) "
					   "WHERE starts_with(stream, $2::text) ORDER BY stream COLLATE \"C\"",
					   2, arguments, on_stream, on_all);
}

/* Appends what is known of a stream, without the brace that ends it. */
static void
put_stream(Bytes *body, const QueryParameters *parameters, const PGresult *row)
{
	bytes_puts(body, "{\"stream\":");
	bytes_json_string(body, PQgetvalue(row, 0, 0), (size_t) PQgetlength(row, 0, 0));
	bytes_printf(body, ",\"messages\":%s,\"last_commit\":", PQgetvalue(row, 0, 1));
	if (PQgetisnull(row, 0, 2))
		bytes_puts(body, "null");
	else
		query_put_time(body, parameters, PQgetvalue(row, 0, 2), (size_t) PQgetlength(row, 0, 2));
}

static size_t
on_stream(void *argument, const PGresult *row)
{
	Progress *progress = ((Exchange *) argument)->state;
	Bytes *body = &progress->parameters.body;
	size_t before = body->length;

	if (progress->has_row)
		bytes_puts(body, ",");
	progress->has_row = true;
	progress->total += strtoull(PQgetvalue(row, 0, 1), NULL, 10);
	put_stream(body, &progress->parameters, row);
	bytes_puts(body, "}");
	return body->length - before;
}

static void
on_all(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	Progress *progress = exchange->state;
	Bytes *body = &progress->parameters.body;

	if (outcome->result == NULL)
	{
		query_answer_failure(exchange, outcome);
		return;
	}
	bytes_printf(body, "],\"messages\":%llu}\n", (unsigned long long) progress->total);
	http_answer_content(exchange, "application/json", body, 1);
}

/*
 * The stream as far as this process has messages of it; NULL: it has had none.  Those who ask do not
 * make it known: otherwise they could take the room that producers need for theirs.
 */
static const StreamName *
stream_of(const Progress *progress)
{
	return stream_name_known(progress->parameters.stream, strlen(progress->parameters.stream));
}

/* How many messages of the stream this process has accepted. */
static uint64_t
accepted_of(const Progress *progress)
{
	const StreamName *stream = stream_of(progress);

	return stream != NULL ? atomic_load(&stream->accepted) : 0;
}

static void
ask(Exchange *exchange)
{
	Loop *loop = loop_of(exchange);
	Progress *progress = exchange->state;
	const char *arguments[] = {loop->shared->config->table_sql, progress->parameters.stream};

	progress->accepted = accepted_of(progress);
	progress->settled = ingest_is_settled(loop->shared->ingest, stream_of(progress));
	query_submit_write(
		exchange,
		"SELECT $2::text, coalesce(sum(messages), 0), "
		"historian.to_ns(max(last_commit)), "
		"floor(extract(epoch FROM clock_timestamp() - max(last_commit)) * 1000)::int8 "
		"FROM historian.progress($1::text::regclass) WHERE stream = $2::text",
		2, arguments, NULL, on_answer);
}

/* Looks at a request that waits, but not while PostgreSQL is asked. */
static void
on_timer(uv_timer_t *timer)
{
	Exchange *exchange = timer->data;
	Loop *loop = loop_of(exchange);
	const Progress *progress = exchange->state;
	uint64_t now_ms = uv_now(timer->loop);

	if (progress->parameters.query != NULL)
		return;
	if (atomic_load(&loop->shared->draining))
		http_problem(exchange, 503, "the server is stopping");
	else if (now_ms >= progress->next_ms || now_ms >= progress->deadline_ms)
		ask(exchange);
}

/* Why the stream is complete by the answer; NULL: it is not. */
static const char *
complete(const Progress *progress, const PGresult *row)
{
	int64_t messages = strtoll(PQgetvalue(row, 0, 1), NULL, 10);
	int64_t quiet_ms = strtoll(PQgetvalue(row, 0, 3), NULL, 10);

	if (progress->has_expect && messages >= progress->expect)
		return "expect";
	if (progress->has_quiet && messages > 0 && progress->settled &&
		accepted_of(progress) == progress->accepted && quiet_ms >= 0 &&
		(uint64_t) quiet_ms >= progress->quiet_ms)
		return "quiet";
	return NULL;
}

/* When PostgreSQL should be asked again after an answer by which the stream is not complete. */
static uint64_t
next_question(const Progress *progress, const PGresult *row, uint64_t now_ms)
{
	int64_t quiet_ms = strtoll(PQgetvalue(row, 0, 3), NULL, 10);
	uint64_t wait_ms = ASK_MS;

	if (!progress->has_expect && progress->settled && !PQgetisnull(row, 0, 3) && quiet_ms >= 0 &&
		(uint64_t) quiet_ms < progress->quiet_ms)
		wait_ms = progress->quiet_ms - (uint64_t) quiet_ms;
	return now_ms + wait_ms;
}

static void
on_answer(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	Progress *progress = exchange->state;
	Bytes *body = &progress->parameters.body;
	uint64_t now_ms = uv_now(loop_of(exchange)->http.uv);
	int64_t at_ns;
	const char *why;

	if (outcome->result == NULL)
	{
		query_answer_failure(exchange, outcome);
		return;
	}
	/* before complete(), so that it sees whatever was accepted before this time */
	at_ns = timestamp_now();
	why = complete(progress, outcome->result);
	if (progress->waits && why == NULL && now_ms < progress->deadline_ms)
	{
		progress->next_ms = next_question(progress, outcome->result, now_ms);
		return;
	}
	put_stream(body, &progress->parameters, outcome->result);
	if (progress->waits)
	{
		bytes_printf(body,
					 ",\"complete\":%s,\"reason\":\"%s\",\"at\":", why != NULL ? "true" : "false",
					 why != NULL ? why : "timeout");
		query_put_time_ns(body, &progress->parameters, at_ns);
	}
	bytes_puts(body, "}\n");
	http_answer_content(exchange, "application/json", body, 1);
}
