/*
 * change.c
 *	  What requests have in common that change stored samples: an edit, and its outcome as an answer.
 */
#include "routes/change.h"

#include "database/pg_connection.h"
#include "http/http_answer.h"
#include "http/http_trace.h"
#include "load/edit.h"
#include "loop.h"
#include "routes/query.h"

#include <stdlib.h>
#include <string.h>

struct Change
{
	Exchange *exchange;
	Edit *edit; /* NULL: it has ended */
	ChangeAnswer answer;
};

static void on_outcome(void *argument, const EditOutcome *outcome);
static void answer_failure(Exchange *exchange, const EditOutcome *outcome);

void
change_submit(Exchange *exchange, Change **change, const char *sql, Batch *rows,
			  ChangeAnswer answer)
{
	Loop *loop = loop_of(exchange);
	QuerySource source = query_source(exchange);
	Change *submitted = memory_new(sizeof(Change));

	submitted->exchange = exchange;
	submitted->answer = answer;
	submitted->edit = edits_submit(loop->edits, &source, sql, rows, on_outcome, submitted);
	*change = submitted;
	if (submitted->edit == NULL)
		http_problem(exchange, 503, "too many changes are waiting (--max-queued-queries %llu)",
					 (unsigned long long) loop->shared->config->max_queued_queries);
}

void
change_release(Change *change)
{
	if (change == NULL)
		return;
	if (change->edit != NULL)
		edit_cancel(change->edit);
	free(change);
}

void
change_put_table(Bytes *sql, const Exchange *exchange)
{
	pg_put_literal(sql, loop_of(exchange)->shared->config->table_sql);
	bytes_puts(sql, "::regclass");
}

void
change_put_text(Bytes *sql, const char *text)
{
	pg_put_literal(sql, text);
	bytes_puts(sql, "::text");
}

void
change_answer_removed(Exchange *exchange, const char *action, const char *tag, const char *removed)
{
	Bytes body = {0};

	trace_audit(exchange, action, tag, "");
	bytes_puts(&body, "{\"tag\":");
	bytes_json_string(&body, tag, strlen(tag));
	bytes_printf(&body, ",\"removed\":%s}\n", removed);
	http_answer(exchange, 200, "application/json", NULL, body.data, body.length);
	bytes_free(&body);
}

static void
on_outcome(void *argument, const EditOutcome *outcome)
{
	Change *change = argument;
	Exchange *exchange = change->exchange;

	change->edit = NULL;
	if (!outcome->committed)
	{
		answer_failure(exchange, outcome);
		return;
	}
	if (outcome->position != 0)
		http_note_commit(exchange, outcome->position);
	change->answer(exchange, outcome->answer);
}

/* May the same change succeed a moment later, because only another one was in its way? */
static bool
passes(const char *sqlstate)
{
	return strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0 ||
		   strcmp(sqlstate, "55P03") == 0 || strcmp(sqlstate, "25006") == 0;
}

static void
answer_failure(Exchange *exchange, const EditOutcome *outcome)
{
	const QueryOutcome *failure = &outcome->failure;
	const char *sqlstate = failure->sqlstate;

	if (failure->limit != 0)
		query_answer_failure(exchange, failure);
	else if (outcome->of_row || strncmp(sqlstate, "23", 2) == 0)
		query_answer_error(exchange, 422, NULL, failure);
	else if (strcmp(sqlstate, "42710") == 0)
		query_answer_error(exchange, 409, NULL, failure);
	else if (passes(sqlstate))
		query_answer_error(exchange, 503, NULL, failure);
	else if (strcmp(sqlstate, "42501") == 0)
		query_answer_error(exchange, 403, NULL, failure);
	else
		query_answer_failure(exchange, failure);
}
