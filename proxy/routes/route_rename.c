/*
 * route_rename.c
 *	  POST /tags/{tag}/rename: gives a tag another name.
 */
#include "routes/routes.h"

#include "base/utf8.h"
#include "http/http_answer.h"
#include "http/http_authorize.h"
#include "http/http_trace.h"
#include "ingest/message_json.h"
#include "loop.h"
#include "routes/change.h"
#include "routes/query.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BODY_BYTES 4096 /* a tag with escapes fits */

#define WRONG_BODY                                                                                 \
	"the body must be a JSON object with one member, the new tag, such as {\"to\": "               \
	"\"site1/pump9\"}"

static void rename_begin(Exchange *exchange);
static size_t rename_body(Exchange *exchange, const char *data, size_t length);
static bool rename_end(Exchange *exchange);
static void rename_release(Exchange *exchange);

const Route route_rename = {
	.path = "/tags/{tag}/rename",
	.metric = ROUTE_TAGS,
	.access = ACCESS_ADMIN,
	.post = true,
	.alone = true,
	.begin = rename_begin,
	.body = rename_body,
	.end = rename_end,
	.release = rename_release,
};

typedef struct Rename
{
	QueryParameters parameters; /* must be first: query.c takes the state for them */
	Bytes body;
	char *to; /* the new tag; NULL: not read yet */
	Change *change;
} Rename;

static const char *read_new_tag(Rename *rename);
static void submit(Exchange *exchange);
static void answer(Exchange *exchange, const char *renamed);

static void
rename_begin(Exchange *exchange)
{
	Rename *rename = memory_new(sizeof(Rename));

	exchange->state = rename;
	if (query_parameters_read(exchange, &rename->parameters, 0) &&
		query_path_tag(exchange, &rename->parameters))
		query_body_is_json(exchange);
}

static size_t
rename_body(Exchange *exchange, const char *data, size_t length)
{
	Rename *rename = exchange->state;

	if (rename->body.length + length <= MAX_BODY_BYTES)
		bytes_append(&rename->body, data, length);
	else
		http_problem(exchange, 413, "the body has at most %d bytes", MAX_BODY_BYTES);
	return length;
}

static void
rename_release(Exchange *exchange)
{
	Rename *rename = exchange->state;

	change_release(rename->change);
	query_parameters_free(&rename->parameters);
	bytes_free(&rename->body);
	free(rename->to);
	free(rename);
	exchange->state = NULL;
}

static bool
rename_end(Exchange *exchange)
{
	Rename *rename = exchange->state;
	const char *wrong = read_new_tag(rename);
	Bytes body = {0};

	if (wrong != NULL)
	{
		http_problem_begin(exchange, &body, 400, wrong);
		bytes_puts(&body, ",\"field\":\"to\"");
		http_problem_body(exchange, 400, &body);
	}
	else if (!principal_may_tag(exchange->principal, rename->to, strlen(rename->to)))
		http_authorize_refuse_tag(exchange);
	else
		submit(exchange);
	return true;
}

/* Moves behind white space, and behind the character if it is there; returns whether it was. */
static bool
skip(const char **c, const char *end, char expected)
{
	while (*c < end && strchr(" \t\r\n", **c) != NULL && **c != '\0')
		++*c;
	if (*c == end || **c != expected)
		return false;
	++*c;
	return true;
}

/*
 * Reads a JSON string into decoded, which has room for that many bytes and a NUL.  Returns its length,
 * or as message_json_string() does.
 */
static int
read_string(const char **c, const char *end, char *decoded, size_t capacity)
{
	const char *start;
	int length;

	if (!skip(c, end, '"'))
		return -1;
	start = *c - 1;
	while (*c < end && **c != '"')
		*c += **c == '\\' ? 2 : 1;
	if (*c >= end)
		return -1;
	++*c;
	length = message_json_string(start, (size_t) (*c - start), decoded, capacity);
	decoded[length < 0 ? 0 : length] = '\0';
	return length;
}

/* Reads the body {"to": ".."}, strictly; returns what is wrong with it, or NULL. */
static const char *
read_new_tag(Rename *rename)
{
	const char *c = bytes_text(&rename->body);
	const char *end = c + rename->body.length;
	char name[8];
	char tag[MESSAGE_MAX_TAG_BYTES + 1];
	int length;

	if (!skip(&c, end, '{') || read_string(&c, end, name, sizeof(name) - 1) != 2 ||
		strcmp(name, "to") != 0 || !skip(&c, end, ':'))
		return WRONG_BODY;
	length = read_string(&c, end, tag, MESSAGE_MAX_TAG_BYTES);
	if (length == 0 || length == -2)
		return "to must have 1 to 256 bytes";
	if (length < 0 || !skip(&c, end, '}') || skip(&c, end, '\0') || c != end)
		return WRONG_BODY;
	if (strlen(tag) != (size_t) length || utf8_has_control(tag, (size_t) length))
		return "to has a control character";
	if (strcmp(tag, rename->parameters.tag) == 0)
		return "to is the tag itself";
	rename->to = memory_strdup(tag);
	return NULL;
}

/* Appends whether the tag has a row in a table of what is known of tags. */
static void
put_known(Bytes *sql, const Exchange *exchange, const char *table, const char *tag)
{
	bytes_printf(sql, " OR EXISTS (SELECT FROM historian.%s k WHERE k.relid = ", table);
	change_put_table(sql, exchange);
	bytes_puts(sql, " AND k.tag = ");
	change_put_text(sql, tag);
	bytes_puts(sql, ")");
}

/* Submits the rename of a tag of which anything is known; of another one the SQL returns NULL. */
static void
submit(Exchange *exchange)
{
	Rename *rename = exchange->state;
	const char *tag = rename->parameters.tag;
	Bytes sql = {0};

	bytes_puts(&sql, "SELECT NULL, CASE WHEN (SELECT s.samples FROM historian.tag_stat(");
	change_put_table(&sql, exchange);
	bytes_puts(&sql, ", ");
	change_put_text(&sql, tag);
	bytes_puts(&sql, ") s) > 0");
	put_known(&sql, exchange, "tag", tag);
	put_known(&sql, exchange, "annotation", tag);
	bytes_puts(&sql, " THEN historian.rename(");
	change_put_table(&sql, exchange);
	bytes_puts(&sql, ", ");
	change_put_text(&sql, tag);
	bytes_puts(&sql, ", ");
	change_put_text(&sql, rename->to);
	bytes_puts(&sql, ") END");
	change_submit(exchange, &rename->change, bytes_text(&sql), NULL, answer);
	bytes_free(&sql);
}

static void
answer(Exchange *exchange, const char *renamed)
{
	const Rename *rename = exchange->state;
	const char *tag = rename->parameters.tag;
	Bytes body = {0};

	if (renamed[0] == '\0')
	{
		http_problem(exchange, 404, "the tag has neither values nor metadata");
		return;
	}
	trace_audit(exchange, "rename", tag, rename->to);
	bytes_puts(&body, "{\"from\":");
	bytes_json_string(&body, tag, strlen(tag));
	bytes_puts(&body, ",\"to\":");
	bytes_json_string(&body, rename->to, strlen(rename->to));
	bytes_printf(&body, ",\"samples\":%s}\n", renamed);
	http_answer(exchange, 200, "application/json", NULL, body.data, body.length);
	bytes_free(&body);
}
