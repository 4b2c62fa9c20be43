/*
 * query.c
 *	  Functions for requests that read: parameters, failures, rows as JSON.
 */
#include "routes/query.h"

#include "http/http_answer.h"
#include "http/http_authorize.h"
#include "http/http_content.h"
#include "http/http_format.h"
#include "http/http_trace.h"
#include "base/number.h"
#include "loop.h"
#include "ingest/stage.h"
#include "base/utf8.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct
{
	const char *name;
	unsigned bit;
	size_t offset;
} text_parameters[] = {
	{"tag", QUERY_TAG, offsetof(QueryParameters, tag)},
	{"start", QUERY_START, offsetof(QueryParameters, start)},
	{"end", QUERY_END, offsetof(QueryParameters, end)},
	{"samples", QUERY_SAMPLES, offsetof(QueryParameters, samples)},
	{"step", QUERY_STEP, offsetof(QueryParameters, step)},
	{"align", QUERY_ALIGN, offsetof(QueryParameters, align)},
	{"method", QUERY_METHOD, offsetof(QueryParameters, method)},
	{"prefix", QUERY_PREFIX, offsetof(QueryParameters, prefix)},
	{"format", QUERY_FORMAT, offsetof(QueryParameters, format)},
	{"columns", QUERY_COLUMNS, offsetof(QueryParameters, columns)},
	{"layout", QUERY_LAYOUT, offsetof(QueryParameters, layout)},
	{"value", QUERY_VALUE, offsetof(QueryParameters, value)},
	{"min_commit", QUERY_COMMIT, offsetof(QueryParameters, min_commit)},
	{"stream", QUERY_STREAM, offsetof(QueryParameters, stream)},
	{"quiet_for", QUERY_QUIET_FOR, offsetof(QueryParameters, quiet_for)},
	{"timeout", QUERY_TIMEOUT, offsetof(QueryParameters, timeout)},
	{"expect", QUERY_EXPECT, offsetof(QueryParameters, expect)},
	{"after_tag", QUERY_AFTER, offsetof(QueryParameters, after_tag)},
	{"after_time", QUERY_AFTER, offsetof(QueryParameters, after_time)},
	{"all", QUERY_ALL, offsetof(QueryParameters, all)},
	{"quantiles", QUERY_QUANTILES, offsetof(QueryParameters, quantiles)},
};

#define TEXT_PARAMETERS (sizeof(text_parameters) / sizeof(text_parameters[0]))

static char **text_member(QueryParameters *parameters, size_t index);
static const char *take(QueryParameters *parameters, unsigned takes, const Bytes *name,
						const Bytes *value);
static const char *take_tag(QueryParameters *parameters, const Bytes *value);
static const char *take_time_form(QueryParameters *parameters, const char *value);
static const char *take_precision(QueryParameters *parameters, const char *value);
static void answer_wrong(Exchange *exchange, const char *name, const char *wrong, unsigned takes);

bool
query_parameters_read(Exchange *exchange, QueryParameters *parameters, unsigned takes)
{
	size_t position = 0;
	Bytes name = {0};
	Bytes value = {0};
	bool valid;
	const char *wrong = NULL;
	bool forbidden;

	parameters->principal = exchange->principal;
	parameters->times = timestamp_rules(1, loop_of(exchange)->shared->config->unit_check);
	while (wrong == NULL &&
		   http_request_parameter(&exchange->request, &position, &name, &value, &valid))
	{
		if (!valid || memchr(value.data, '\0', value.length) != NULL ||
			memchr(name.data, '\0', name.length) != NULL)
			wrong = "has an invalid percent escape";
		else
			wrong = take(parameters, takes, &name, &value);
	}
	forbidden = parameters->forbidden; /* an answer may free the parameters */
	if (wrong != NULL)
		answer_wrong(exchange, name.data, wrong, takes);
	else if (forbidden)
		http_authorize_refuse_tag(exchange);
	bytes_free(&name);
	bytes_free(&value);
	return wrong == NULL && !forbidden;
}

void
query_parameters_free(QueryParameters *parameters)
{
	if (parameters->read != NULL)
		pg_read_cancel(parameters->read);
	if (parameters->query != NULL)
		pg_query_cancel(parameters->query);
	for (size_t i = 0; i < TEXT_PARAMETERS; i++)
		free(*text_member(parameters, i));
	bytes_free(&parameters->tag_array);
	bytes_free(&parameters->body);
	*parameters = (QueryParameters){0};
}

bool
query_begin(Exchange *exchange, unsigned takes)
{
	exchange->state = memory_new(sizeof(QueryParameters));
	return query_parameters_read(exchange, exchange->state, takes);
}

void
query_release(Exchange *exchange)
{
	if (exchange->state == NULL)
		return;
	query_parameters_free(exchange->state);
	free(exchange->state);
	exchange->state = NULL;
}

bool
query_path_tag(Exchange *exchange, QueryParameters *parameters)
{
	const char *path = exchange->route->path;
	Bytes tag = {0};
	const char *wrong;
	bool forbidden;

	if (!http_request_path_rest(&exchange->request, strcspn(path, "{"), &tag) ||
		memchr(tag.data, '\0', tag.length) != NULL)
		wrong = "has an invalid percent escape";
	else
	{
		/* The path ends as that of the route does. */
		tag.length -= strlen(strchr(path, '}') + 1);
		bytes_text(&tag);
		wrong = take_tag(parameters, &tag);
	}
	bytes_free(&tag);
	forbidden = parameters->forbidden; /* an answer may free the parameters */
	if (wrong != NULL)
		http_problem(exchange, 400, "the tag in the path %s", wrong);
	else if (forbidden)
		http_authorize_refuse_tag(exchange);
	return wrong == NULL && !forbidden;
}

bool
query_body_is_json(Exchange *exchange)
{
	const HttpRequest *request = &exchange->request;
	bool json = request->content_type[0] == '\0' ||
				http_media_type_is(request->content_type, "application/json") ||
				http_media_type_is(request->content_type, "application/x-www-form-urlencoded");
	bool plain = request->content_encoding[0] == '\0' ||
				 strcasecmp(request->content_encoding, "identity") == 0;

	if (!json)
		http_problem(exchange, 415, "Content-Type \"%s\" is not supported; application/json is",
					 request->content_type);
	else if (!plain)
		http_problem(exchange, 415, "Content-Encoding \"%s\" is not supported",
					 request->content_encoding);
	return json && plain;
}

static char **
text_member(QueryParameters *parameters, size_t index)
{
	return (char **) ((char *) parameters + text_parameters[index].offset);
}

static const char *
wrong_tag(const Bytes *value)
{
	if (value->length == 0 || value->length > MESSAGE_MAX_TAG_BYTES)
		return "must have 1 to 256 bytes";
	return utf8_valid(value->data, value->length) ? NULL : "is not valid UTF-8";
}

void
query_array_add(Bytes *array, const char *tag, size_t length)
{
	if (array->length > 0)
		array->length--; /* "}" */
	bytes_puts(array, array->length > 0 ? ",\"" : "{\"");
	for (size_t i = 0; i < length; i++)
	{
		if (tag[i] == '"' || tag[i] == '\\')
			bytes_puts(array, "\\");
		bytes_append(array, tag + i, 1);
	}
	bytes_puts(array, "\"}");
	bytes_text(array);
}

static void
note_tag(QueryParameters *parameters, const Bytes *tag)
{
	parameters->forbidden |= !principal_may_tag(parameters->principal, tag->data, tag->length);
}

/* Keeps a tag.  The length of request targets limits the number of tags. */
static const char *
take_tag(QueryParameters *parameters, const Bytes *value)
{
	const char *wrong = wrong_tag(value);

	if (wrong != NULL)
		return wrong;
	note_tag(parameters, value);
	query_array_add(&parameters->tag_array, value->data, value->length);
	if (parameters->tag_count++ == 0)
		parameters->tag = memory_strdup(value->data);
	return NULL;
}

static const char *
take_time_form(QueryParameters *parameters, const char *value)
{
	if (parameters->time_given)
		return "is given twice";
	parameters->time_given = true;
	if (strcmp(value, "integer") == 0)
		parameters->time_form = TIME_FORM_INTEGER;
	else if (strcmp(value, "string") == 0)
		parameters->time_form = TIME_FORM_STRING;
	else if (strcmp(value, "rfc3339") == 0)
		parameters->time_form = TIME_FORM_RFC3339;
	else
		return "must be integer, string or rfc3339";
	return NULL;
}

static const char *
take_precision(QueryParameters *parameters, const char *value)
{
	if (parameters->precision_given)
		return "is given twice";
	parameters->precision_given = true;
	return timestamp_read_precision(value, &parameters->times) ? NULL : "must be ns, us, ms or s";
}

/* Is the text a position of the WAL, as pg_lsn takes it? */
static bool
is_position(const char *text)
{
	static const char digits[] = "0123456789ABCDEFabcdef";
	size_t high = strspn(text, digits);
	size_t low = text[high] == '/' ? strspn(text + high + 1, digits) : 0;

	return high >= 1 && high <= 8 && low >= 1 && low <= 8 && text[high + 1 + low] == '\0';
}

/* Keeps a parameter.  Returns NULL, what is wrong with the parameter, or "" if it is unknown. */
static const char *
take(QueryParameters *parameters, unsigned takes, const Bytes *name, const Bytes *value)
{
	const char *wrong;

	if ((takes & QUERY_TIME) != 0 && strcmp(name->data, "time") == 0)
		return take_time_form(parameters, value->data);
	if ((takes & QUERY_PRECISION) != 0 && strcmp(name->data, "precision") == 0)
		return take_precision(parameters, value->data);
	if ((takes & QUERY_TAGS) != 0 && strcmp(name->data, "tag") == 0)
		return take_tag(parameters, value);
	for (size_t i = 0; i < TEXT_PARAMETERS; i++)
	{
		char **member = text_member(parameters, i);

		if (strcmp(name->data, text_parameters[i].name) != 0 ||
			(takes & text_parameters[i].bit) == 0)
			continue;
		if (*member != NULL)
			return "is given twice";
		if ((text_parameters[i].bit == QUERY_TAG || member == &parameters->after_tag) &&
			(wrong = wrong_tag(value)) != NULL)
			return wrong;
		if (text_parameters[i].bit == QUERY_TAG)
			note_tag(parameters, value);
		if (text_parameters[i].bit == QUERY_COMMIT && !is_position(value->data))
			return "must be the value of X-Historian-Commit of an answer, such as 16/B374D848";
		if (!utf8_valid(value->data, value->length))
			return "is not valid UTF-8";
		*member = memory_strdup(value->data);
		return NULL;
	}
	return "";
}

/* Answers what is wrong with a parameter, or which ones the route takes. */
static void
answer_wrong(Exchange *exchange, const char *name, const char *wrong, unsigned takes)
{
	char known[160] = "";
	const char *comma = "";

	if (wrong[0] != '\0')
	{
		http_problem(exchange, 400, "parameter \"%.40s\" %s", name, wrong);
		return;
	}
	if ((takes & QUERY_TAGS) != 0)
		takes |= QUERY_TAG; /* it has the same name */
	for (size_t i = 0; i < TEXT_PARAMETERS; i++)
	{
		if ((takes & text_parameters[i].bit & ~QUERY_COMMIT) == 0)
			continue;
		strncat(known, comma, sizeof(known) - strlen(known) - 1);
		strncat(known, text_parameters[i].name, sizeof(known) - strlen(known) - 1);
		comma = ", ";
	}
	if ((takes & QUERY_TIME) != 0)
		strncat(known, known[0] ? ", time" : "time", sizeof(known) - strlen(known) - 1);
	if ((takes & QUERY_PRECISION) != 0)
		strncat(known, ", precision", sizeof(known) - strlen(known) - 1);
	if ((takes & QUERY_COMMIT) != 0)
		strncat(known, ", min_commit", sizeof(known) - strlen(known) - 1);
	http_problem(exchange, 400, "parameter \"%.40s\" is unknown; %s takes %s", name,
				 exchange->route->path, known[0] ? known : "none");
}

bool
query_integer(const char *text, int64_t *value)
{
	const char *end = text + strlen(text);

	return number_int64(&text, end, value) == NUMBER_OK && text == end;
}

/* Reads a parameter as a time; answers 400 and returns false if it is none. */
static bool
read_time(Exchange *exchange, const QueryParameters *parameters, const char *name, const char *text,
		  int64_t now_ns, int64_t from_ns, int64_t *time_ns)
{
	char buffer[TIMESTAMP_WRONG_BYTES];
	const char *wrong = timestamp_read(text, &parameters->times, now_ns, from_ns, time_ns, buffer);

	if (wrong != NULL)
		http_problem(exchange, 400, "parameter \"%s\" %s", name, wrong);
	return wrong == NULL;
}

bool
query_read_time(Exchange *exchange, const char *name, const char *text, int64_t *time_ns)
{
	int64_t now_ns = timestamp_now();

	return read_time(exchange, exchange->state, name, text, now_ns, now_ns, time_ns);
}

bool
query_read_window(Exchange *exchange, QueryParameters *parameters, bool all)
{
	int64_t now_ns = timestamp_now();
	int64_t from_ns = now_ns;

	parameters->end_ns = all ? INT64_MAX : now_ns;
	if (parameters->end != NULL)
	{
		if (!read_time(exchange, parameters, "end", parameters->end, now_ns, now_ns,
					   &parameters->end_ns))
			return false;
		from_ns = parameters->end_ns;
	}
	if (parameters->start != NULL)
	{
		if (!read_time(exchange, parameters, "start", parameters->start, now_ns, from_ns,
					   &parameters->start_ns))
			return false;
	}
	else if (all || __builtin_sub_overflow(from_ns, TIMESTAMP_HOUR_NS, &parameters->start_ns))
		parameters->start_ns = INT64_MIN;
	if (parameters->start_ns < parameters->end_ns)
		return true;
	if (parameters->end == NULL)
		http_problem(exchange, 400,
					 "parameter \"start\" is not before now, which \"end\" is unless it is given");
	else
		http_problem(exchange, 400, "parameter \"start\" must be before \"end\"");
	return false;
}

bool
query_read_range(Exchange *exchange, QueryParameters *parameters)
{
	const char *missing = parameters->tag == NULL	  ? "tag"
						  : parameters->start == NULL ? "start"
						  : parameters->end == NULL	  ? "end"
													  : NULL;

	if (missing != NULL)
		http_problem(exchange, 400, "parameter \"%s\" is missing", missing);
	return missing == NULL && query_read_window(exchange, parameters, true);
}

static void
on_outcome(void *argument, const QueryOutcome *outcome)
{
	QueryParameters *parameters = ((Exchange *) argument)->state;

	if (parameters->read != NULL)
		http_note_lag(argument, outcome->lag_known ? outcome->lag_ms : -1);
	parameters->read = NULL;
	parameters->query = NULL;
	parameters->callback(argument, outcome);
}

QuerySource
query_source(const Exchange *exchange)
{
	return (QuerySource){
		.traceparent = trace_parent(exchange),
		.role = exchange->principal->role,
		.actor = exchange->principal->name,
	};
}

static void
answer_queue_full(Exchange *exchange)
{
	http_problem(exchange, 503, "too many queries are waiting (--max-queued-queries %llu)",
				 (unsigned long long) loop_of(exchange)->shared->config->max_queued_queries);
}

void
query_submit(Exchange *exchange, const char *sql, int argument_count, const char *const *arguments,
			 RowCallback on_row, QueryCallback callback)
{
	QueryParameters *parameters = exchange->state;
	QuerySource source = query_source(exchange);

	parameters->callback = callback;
	parameters->read =
		pg_reads_submit(loop_of(exchange)->reads, &source, parameters->min_commit, sql,
						argument_count, arguments, on_row, on_outcome, exchange);
	if (parameters->read == NULL)
		answer_queue_full(exchange);
}

void
query_submit_write(Exchange *exchange, const char *sql, int argument_count,
				   const char *const *arguments, RowCallback on_row, QueryCallback callback)
{
	QueryParameters *parameters = exchange->state;
	QuerySource source = query_source(exchange);

	parameters->callback = callback;
	parameters->query = pg_pool_submit(loop_of(exchange)->writes, &source, sql, argument_count,
									   arguments, on_row, on_outcome, exchange);
	if (parameters->query == NULL)
		answer_queue_full(exchange);
}

static size_t
on_tag(void *argument, const PGresult *row)
{
	QueryParameters *parameters = ((Exchange *) argument)->state;
	Bytes *body = &parameters->body;
	size_t before = body->length;

	bytes_puts(body, parameters->has_tags ? ",{\"tag\":" : "{\"tag\":");
	parameters->has_tags = true;
	bytes_json_string(body, PQgetvalue(row, 0, 0), (size_t) PQgetlength(row, 0, 0));
	parameters->put_rest(body, parameters, row);
	bytes_puts(body, "}");
	return body->length - before;
}

static void
on_last_tag(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	QueryParameters *parameters = exchange->state;

	if (outcome->result == NULL)
	{
		query_answer_failure(exchange, outcome);
		return;
	}
	bytes_puts(&parameters->body, "]}\n");
	http_answer_content(exchange, "application/json", &parameters->body, 1);
}

void
query_answer_tags(Exchange *exchange, const char *sql, int argument_count,
				  const char *const *arguments, const char *name, QueryPutRest put_rest)
{
	QueryParameters *parameters = exchange->state;

	parameters->put_rest = put_rest;
	bytes_printf(&parameters->body, "{\"%s\":[", name);
	query_submit(exchange, sql, argument_count, arguments, on_tag, on_last_tag);
}

/*
 * Did a statement lack disk space, memory or the like?  A connection too many is refused before there is
 * a statement.
 */
static bool
lacks_resources(const char *sqlstate)
{
	return strncmp(sqlstate, "53", 2) == 0 && strcmp(sqlstate, "53300") != 0;
}

void
query_answer_failure(Exchange *exchange, const QueryOutcome *outcome)
{
	int status = 500;

	trace_cause(exchange, outcome->sqlstate, outcome->message);
	if (outcome->limit != 0)
	{
		/* PostgreSQL's own words are about the token's role. */
		http_problem(exchange, outcome->limit, "%s%s",
					 outcome->sqlstate[0] != '\0' ? "the role of this token: " : "",
					 outcome->message);
		return;
	}
	if (outcome->sqlstate[0] == '\0' || strncmp(outcome->sqlstate, "08", 2) == 0 ||
		strncmp(outcome->sqlstate, "53", 2) == 0 || strncmp(outcome->sqlstate, "57P", 3) == 0)
		status = 503; /* PostgreSQL is away, too busy, or restarting */
	else if (strncmp(outcome->sqlstate, "RH", 2) == 0)
		status = strcmp(outcome->sqlstate, "RH003") == 0 ? 412 : 503; /* historian.await_commit() */
	else if (strcmp(outcome->sqlstate, "40001") == 0)
	{
		/* on a standby that had to replay what the query was in the way of */
		http_problem(exchange, 503, "PostgreSQL broke the query off: %s", outcome->message);
		return;
	}
	else if (strcmp(outcome->sqlstate, "57014") == 0)
		status = 504; /* --query-timeout */
	else if (strcmp(outcome->sqlstate, "42809") == 0 || strcmp(outcome->sqlstate, "0A000") == 0)
		status = 422; /* historian's functions cannot read the table or a partition */
	else if (strcmp(outcome->sqlstate, "42501") == 0 && exchange->principal->role[0] != '\0')
		status = 403; /* a privilege that the token's role does not have */
	else if (strncmp(outcome->sqlstate, "22", 2) == 0)
		status = 400; /* PostgreSQL refuses an argument, such as an unknown method */

	if (status == 503 && strncmp(outcome->sqlstate, "RH", 2) != 0 &&
		!lacks_resources(outcome->sqlstate))
	{
		/* Connection errors name hosts and users, which the log may show but not an answer. */
		http_problem(exchange, 503, "PostgreSQL cannot be reached");
		return;
	}
	query_answer_error(exchange, status, NULL, outcome);
}

void
query_answer_error(Exchange *exchange, int status, const char *field, const QueryOutcome *outcome)
{
	Bytes body = {0};

	trace_cause(exchange, outcome->sqlstate, outcome->message);
	http_format_problem(&body, status, outcome->message);
	bytes_printf(&body, ",\"sqlstate\":\"%s\"", outcome->sqlstate);
	if (field != NULL)
		bytes_printf(&body, ",\"field\":\"%s\"", field);
	if (outcome->hint != NULL)
	{
		bytes_puts(&body, ",\"hint\":");
		bytes_json_string(&body, outcome->hint, strlen(outcome->hint));
	}
	http_problem_body(exchange, status, &body);
}

void
query_put_time(Bytes *out, const QueryParameters *parameters, const char *time, size_t length)
{
	int64_t time_ns = 0;

	if (parameters->time_form == TIME_FORM_INTEGER && parameters->times.unit_ns == 1)
	{
		bytes_append(out, time, length);
		return;
	}
	number_int64(&time, time + length, &time_ns);
	query_put_time_ns(out, parameters, time_ns);
}

void
query_put_time_ns(Bytes *out, const QueryParameters *parameters, int64_t time_ns)
{
	const char *quote = parameters->time_form == TIME_FORM_INTEGER ? "" : "\"";
	char text[TIMESTAMP_TEXT_BYTES];

	query_write_time(parameters, time_ns, text);
	bytes_puts(out, quote);
	bytes_puts(out, text);
	bytes_puts(out, quote);
}

void
query_write_time(const QueryParameters *parameters, int64_t time_ns, char *text)
{
	if (parameters->time_form == TIME_FORM_RFC3339)
		timestamp_write_rfc3339(time_ns, text);
	else
		snprintf(text, TIMESTAMP_TEXT_BYTES, "%lld",
				 (long long) timestamp_in_unit(time_ns, parameters->times.unit_ns));
}

void
query_put_values(Bytes *bytes, const char *text, size_t length)
{
	/* NaN grows by one byte, and takes four with its comma, so that a third more is enough. */
	char *start = bytes_reserve(bytes, length + length / 3 + 8);
	char *out = start;

	for (size_t i = 0; i < length; i++)
	{
		char c = text[i];

		if (c == '{')
			*out++ = '[';
		else if (c == '}')
			*out++ = ']';
		else if (c == 'N' || c == 'I' || (c == '-' && text[i + 1] == 'I'))
		{
			memcpy(out, "null", 4);
			out += 4;
			while (i + 1 < length && text[i + 1] != ',' && text[i + 1] != '}')
				i++;
		}
		else
			*out++ = c;
	}
	bytes->length += (size_t) (out - start);
}
