/*
 * edit.c
 *	  Changes of what is stored, such as deletions: each is a transaction that begins after all messages
 *	  that this process had accepted before are loaded.
 *
 *		WAITING			the messages accepted before are loaded, also those that are set aside
 *		QUEUED			for the edits before it
 *		CONNECTING
 *		OPENING			BEGIN; SET LOCAL ..; the role and the name of who asks
 *		RUNNING			the statements, with the rows of a COPY
 *		COMMITTING		COMMIT; SELECT position
 *
 * A message that was acknowledged before the edit came would otherwise be loaded after it, and bring
 * back what the edit has removed.
 *
 * Nothing but the COMMIT, which is sent when all else has succeeded, commits the transaction.  So an
 * edit that ends before that, for whatever reason, has changed nothing and cannot change anything
 * later, even if its backend hangs and goes on.  If its connection is lost after that, nobody knows,
 * and the outcome says so.
 *
 * A connection is opened for each edit, because edits are rare, and idle ones would be held by every
 * loop.  Deletions of one table wait for each other in PostgreSQL anyway, so that one at a time is
 * no slower.
 */
#include "load/edit.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "database/pg_cancel.h"
#include "database/pg_connection.h"
#include "database/sql_failure.h"
#include "load/copy_stream.h"

#include <stdlib.h>
#include <string.h>

/* How long after PostgreSQL's time limit an edit is ended here. */
#define GRACE_MS 1000

typedef enum EditState
{
	EDIT_WAITING,
	EDIT_QUEUED,
	EDIT_CONNECTING,
	EDIT_OPENING,
	EDIT_RUNNING,
	EDIT_COMMITTING,
} EditState;

struct Edit
{
	ListLink link; /* in Edits.queued */
	Edits *edits;
	EditState state;
	CommitWaiter *waiter; /* EDIT_WAITING */
	char *begin;		  /* the statements of EDIT_OPENING */
	bool has_role;		  /* they take a role */
	char *sql;
	Batch *rows;
	uint64_t progress_ms;  /* when anything happened last */
	EditCallback callback; /* NULL: nobody waits any more */
	void *argument;
};

struct Edits
{
	uv_loop_t *loop;
	const Config *config;
	Ingest *ingest;
	CommitQueue *waiters;
	PointMerge *points;
	void (*wake)(void *);
	void *wake_argument;
	PgCanceller *canceller;
	uint64_t limit;
	uint64_t count; /* of all edits */
	List queued;	/* of Edit.link */
	Edit *current;	/* NULL, or EDIT_CONNECTING and later */

	/* of the current edit */
	PgConnection *connection;
	CopyStream stream;
	SqlFailure failure;
	bool committed; /* COMMIT was answered with COMMIT */
	uint64_t position;
};

static void ignore(void *argument);
static void on_loaded(void *argument, const CommitOutcome *outcome);
static void begin_next(Edits *edits);
static void fail(Edit *edit, const QueryOutcome *why);
static void end(Edits *edits, const EditOutcome *outcome);
static void send_statements(Edits *edits, EditState state, const char *sql);
static void opened(Edits *edits);
static void finished(Edits *edits);
static void lost(Edits *edits, const char *reason);
static bool read_results(Edits *edits);
static void on_open(void *owner);
static void on_input(void *owner);
static void on_lost(void *owner, const char *reason);

static const PgHandler handler = {on_open, on_input, on_lost};

Edits *
edits_new(uv_loop_t *loop, const Config *config, Ingest *ingest, CommitQueue *waiters,
		  PointMerge *points, uint64_t limit, void (*wake)(void *), void *argument)
{
	Edits *edits = memory_new(sizeof(Edits));

	edits->loop = loop;
	edits->config = config;
	edits->ingest = ingest;
	edits->waiters = waiters;
	edits->points = points;
	edits->canceller = pg_canceller_new(loop);
	edits->limit = limit;
	edits->wake = wake;
	edits->wake_argument = argument;
	list_init(&edits->queued);
	return edits;
}

static void
put_setting(Bytes *sql, const char *name, const char *value)
{
	bytes_printf(sql, ", set_config('%s', ", name);
	pg_put_literal(sql, value);
	bytes_puts(sql, ", true)");
}

/*
 * The statements that open the transaction.  A role or a database may set time limits and isolation for
 * all its sessions.  A process that hangs should not keep locks.
 */
static char *
make_begin(const Edits *edits, const QuerySource *source)
{
	unsigned long long timeout_ms = edits->config->query_timeout_ms;
	Bytes sql = {0};

	bytes_printf(&sql,
				 "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = 0; "
				 "SELECT set_config('statement_timeout', '%llu', true), "
				 "set_config('idle_in_transaction_session_timeout', '%llu', true)",
				 timeout_ms, timeout_ms + 2 * GRACE_MS);
	put_setting(&sql, "historian.actor", source->actor != NULL ? source->actor : "");
	if (source->role != NULL && source->role[0] != '\0')
		put_setting(&sql, "role", source->role);
	return bytes_take_text(&sql);
}

Edit *
edits_submit(Edits *edits, const QuerySource *source, const char *sql, Batch *rows,
			 EditCallback callback, void *argument)
{
	IngestTicket before;
	Bytes text = {0};
	Edit *edit;

	if (rows == NULL)
	{
		rows = batch_new(NULL);
		batch_close(rows);
	}
	if (edits->count >= edits->limit)
	{
		batch_free(rows);
		return NULL;
	}
	edit = memory_new(sizeof(Edit));
	edit->edits = edits;
	edit->state = EDIT_WAITING;
	edit->begin = make_begin(edits, source);
	edit->has_role = source->role != NULL && source->role[0] != '\0';
	if (source->traceparent != NULL)
		bytes_printf(&text, "/*traceparent='%s'*/ ", source->traceparent);
	bytes_puts(&text, sql);
	edit->sql = bytes_take_text(&text);
	edit->rows = rows;
	edit->callback = callback;
	edit->argument = argument;
	edits->count++;
	before = ingest_fence(edits->ingest);
	edit->waiter = commit_wait_for_all(edits->waiters, &before,
									   uv_now(edits->loop) + edits->config->commit_timeout_ms,
									   on_loaded, edit);
	edits->wake(edits->wake_argument);
	return edit;
}

static void
free_edit(Edit *edit)
{
	ASSERT(!list_linked(&edit->link));
	edit->edits->count--;
	batch_free(edit->rows);
	free(edit->begin);
	free(edit->sql);
	free(edit);
}

void
edit_cancel(Edit *edit)
{
	Edits *edits = edit->edits;

	edit->callback = NULL;
	switch (edit->state)
	{
		case EDIT_WAITING:
			commit_wait_no_more(edit->waiter);
			free_edit(edit);
			break;
		case EDIT_QUEUED:
			list_remove(&edit->link);
			free_edit(edit);
			break;
		case EDIT_CONNECTING:
		case EDIT_OPENING:
		case EDIT_RUNNING:
			end(edits, &(EditOutcome){0});
			break;
		case EDIT_COMMITTING:
			break; /* it ends by itself */
	}
}

void
edits_tick(Edits *edits)
{
	static const QueryOutcome busy = {
		.sqlstate = "",
		.message = "other changes took too long (--query-timeout); nothing was changed",
		.limit = 503,
	};
	static const QueryOutcome slow = {
		.sqlstate = "",
		.message = "PostgreSQL did not answer in time (--query-timeout); nothing was changed",
		.limit = 504,
	};
	uint64_t now_ms = uv_now(edits->loop);
	uint64_t limit_ms = edits->config->query_timeout_ms + GRACE_MS;
	ListLink *link;

	if (edits->current != NULL && now_ms - edits->current->progress_ms > limit_ms)
	{
		if (edits->current->state == EDIT_COMMITTING)
			lost(edits, "it did not answer in time (--query-timeout)");
		else
			end(edits, &(EditOutcome){.failure = slow});
	}
	while ((link = list_first(&edits->queued)) != NULL)
	{
		Edit *edit = LIST_ITEM(link, Edit, link);

		if (now_ms - edit->progress_ms <= limit_ms)
			break;
		list_remove(link);
		fail(edit, &busy);
	}
}

/* The messages that were accepted before are loaded, or will not be soon. */
static void
on_loaded(void *argument, const CommitOutcome *outcome)
{
	static const QueryOutcome not_loaded = {
		.sqlstate = "",
		.message =
			"messages that were accepted before are not loaded yet (--commit-timeout); nothing "
			"was changed",
		.limit = 503,
	};
	Edit *edit = argument;

	edit->waiter = NULL;
	if (outcome->state == COMMIT_UNKNOWN)
	{
		fail(edit, &not_loaded);
		return;
	}
	edit->state = EDIT_QUEUED;
	edit->progress_ms = uv_now(edit->edits->loop);
	list_append(&edit->edits->queued, &edit->link);
	begin_next(edit->edits);
}

/* Begins with the first edit of the queue, unless another one is under way. */
static void
begin_next(Edits *edits)
{
	ListLink *link = edits->current != NULL ? NULL : list_take_first(&edits->queued);

	if (link == NULL)
		return;
	edits->current = LIST_ITEM(link, Edit, link);
	edits->current->state = EDIT_CONNECTING;
	edits->current->progress_ms = uv_now(edits->loop);
	edits->failure = (SqlFailure){0};
	edits->committed = false;
	edits->position = 0;
	edits->connection = pg_connection_open(edits->loop, edits->config->database, "",
										   edits->config->database_password_file, &handler, edits);
}

/* Tells who waits, and frees the edit, which is not the current one. */
static void
tell(Edit *edit, const EditOutcome *outcome)
{
	if (edit->callback != NULL)
		edit->callback(edit->argument, outcome);
	free_edit(edit);
}

static void
fail(Edit *edit, const QueryOutcome *why)
{
	tell(edit, &(EditOutcome){.failure = *why});
}

/*
 * Ends the current edit, with its transaction if that is open, and begins with the next one.  A session
 * that waits for a lock does not notice that its connection is closed, so it is told.
 */
static void
end(Edits *edits, const EditOutcome *outcome)
{
	Edit *edit = edits->current;

	if (edits->connection != NULL)
	{
		if (edit->state == EDIT_OPENING || edit->state == EDIT_RUNNING)
			(void) pg_cancel(edits->canceller, pg_connection_pq(edits->connection), ignore, NULL);
		pg_connection_close(edits->connection);
	}
	edits->connection = NULL;
	edits->current = NULL;
	if (edit->state == EDIT_COMMITTING)
		point_merge_forget(edits->points);
	tell(edit, outcome);
	begin_next(edits);
}

/* PostgreSQL was told to end a statement; nobody waits for that. */
static void
ignore(void *argument)
{
	(void) argument;
}

static void
on_open(void *owner)
{
	Edits *edits = owner;

	send_statements(edits, EDIT_OPENING, edits->current->begin);
}

static void
send_statements(Edits *edits, EditState state, const char *sql)
{
	bool all;

	edits->current->state = state;
	/* If it cannot be sent, the connection is lost, which on_lost() tells. */
	PQsendQuery(pg_connection_pq(edits->connection), sql);
	pg_connection_flush(edits->connection, &all);
}

static void
on_input(void *owner)
{
	Edits *edits = owner;
	Edit *edit = edits->current;

	edit->progress_ms = uv_now(edits->loop);
	switch (edit->state)
	{
		case EDIT_OPENING:
			if (read_results(edits))
				opened(edits);
			break;
		case EDIT_RUNNING:
			if (!copy_stream_advance(&edits->stream))
				break;
			edits->failure = edits->stream.failure;
			if (sql_failure_is_set(&edits->failure))
				finished(edits);
			else
				send_statements(edits, EDIT_COMMITTING, PG_COMMIT_SQL);
			break;
		case EDIT_COMMITTING:
			if (read_results(edits))
				finished(edits);
			break;
		default:
			break;
	}
}

/* Goes on after the transaction was opened. */
static void
opened(Edits *edits)
{
	const Edit *edit = edits->current;

	if (sql_failure_is_set(&edits->failure))
	{
		finished(edits);
		return;
	}
	edits->current->state = EDIT_RUNNING;
	copy_stream_begin(&edits->stream, edits->connection, edit->sql, edit->rows, 0,
					  batch_rows(edit->rows));
}

/* Takes what has come of the results; true after the last one. */
static bool
read_results(Edits *edits)
{
	PGconn *pq = pg_connection_pq(edits->connection);
	PGresult *result;

	while (!PQisBusy(pq) && (result = PQgetResult(pq)) != NULL)
	{
		switch (PQresultStatus(result))
		{
			case PGRES_TUPLES_OK:
				if (edits->committed)
					edits->position = pg_read_position(result);
				break;
			case PGRES_COMMAND_OK:
				edits->committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
				break;
			default:
				/* after COMMIT, only the position can fail, without which the edit is as good */
				if (!edits->committed)
					sql_failure_note(&edits->failure, result);
				break;
		}
		PQclear(result);
	}
	return !PQisBusy(pq);
}

/* Ends the edit with its failure, or as committed. */
static void
finished(Edits *edits)
{
	const Edit *edit = edits->current;
	const SqlFailure *failure = &edits->failure;
	bool committed = edits->committed && edit->state == EDIT_COMMITTING;
	bool role =
		edit->state == EDIT_OPENING && edit->has_role &&
		(strncmp(failure->sqlstate, "22", 2) == 0 || strncmp(failure->sqlstate, "42", 2) == 0);

	if (committed && pg_connection_take_not_replicated(edits->connection))
		end(edits,
			&(EditOutcome){
				.failure = {.sqlstate = "",
							.message =
								"the change is committed, but PostgreSQL was told not to wait "
								"for the synchronous standby, which may not have it",
							.limit = 503},
			});
	else if (committed)
		end(edits, &(EditOutcome){
					   .committed = true,
					   .answer = edits->stream.answer,
					   .position = edits->position,
				   });
	else
	{
		sql_failure_set(&edits->failure, "25P02", "the transaction was rolled back");
		end(edits, &(EditOutcome){
					   .failure = {.sqlstate = failure->sqlstate,
								   .message = failure->message,
								   .hint = failure->hint[0] != '\0' ? failure->hint : NULL,
								   .limit = role ? 500 : 0},
					   .of_row = edit->state == EDIT_RUNNING && edits->stream.began &&
								 sql_failure_of_row(failure),
				   });
	}
}

static void
on_lost(void *owner, const char *reason)
{
	((Edits *) owner)->connection = NULL;
	lost(owner, reason);
}

/* Ends the current edit, with which PostgreSQL does not go on. */
static void
lost(Edits *edits, const char *reason)
{
	static const QueryOutcome unknown = {
		.sqlstate = "",
		.message =
			"the connection to PostgreSQL was lost while the change was committed: it is not "
			"known whether it is",
		.limit = 503,
	};
	bool committing = edits->current->state == EDIT_COMMITTING;

	log_warning("no connection to PostgreSQL for a change%s: %s",
				committing ? ", whose COMMIT was sent" : "", reason);
	end(edits,
		&(EditOutcome){
			.failure = committing
						   ? unknown
						   : (QueryOutcome){.sqlstate = "", .message = reason, .broken = true},
		});
}
