/*
 * copy_load.c
 *	  One load: the rows of a batch, in one transaction, on an open connection.
 *
 *		BEGIN; SET LOCAL ..; SELECT		this transaction's xid, and what became of the one before
 *		COPY; SELECT lock				the rows, and a lock that shows that a commit is under way
 *		COMMIT; SELECT position			where the WAL is after it
 *
 * Settings.  A role or a database may set time limits and isolation for all its sessions.  The
 * transaction sets its own, because a batch that has grown while PostgreSQL was away takes long to
 * load, and would be broken off again and again.  Nothing is set for the session, which behind a
 * pooler other clients use too.
 *
 * The transaction before.  pg_xact_status() tells what became of it.  While it is in progress
 * nothing may be loaded: it could commit later, and its older rows would win over newer ones.  So
 * its backend is asked to end, and the next load looks again.  If it is committed, its rows are not
 * loaded again, provided that the xid still means the same transaction: after a crash or a
 * failover, xids that were never written to disk are given again.  So each transaction leaves a mark
 * in the WAL before its commit, by which historian.load_fate() knows it again.  Where the extension
 * cannot tell, LoadTrace.server must do.  It has the timeline, and the time from which PostgreSQL's
 * statistics count, which a recovery resets.  If it differs, the rows are loaded again, although
 * they may have been committed.
 *
 * The process before.  A process that was killed may have left a COMMIT that hangs.  Each
 * transaction that is about to commit holds an advisory lock, in shared mode.  The first load of a
 * process looks which transactions hold the lock of its table, and loads wait until these have
 * ended.
 *
 * Bundles.  If the table takes bundles (bundle.h), rows are sent in these, which takes a third of the
 * processor time.  The extension is asked in the same transaction; that it can be asked is what the
 * load before has found.  A load that fails with bundles is repeated without, and so PostgreSQL's
 * own COPY has the last word.  Sifting sends rows alone.
 *
 * Sifting.  A COPY that fails names at best its first bad row.  So the ranges of rows on the stack
 * are loaded within savepoints.  A range that is refused is cut around the row that PostgreSQL
 * names, or in half, and pieces that are small enough are tried row by row.  Constraints are not
 * deferred then, so that an error belongs to its row.
 *
 * To try a row costs PostgreSQL some 50 microseconds, and a row of a COPY one or two, so that many
 * bad rows take seconds.  Other batches should not wait that long: after SIFT_NS, LOAD_SIFT_PART
 * commits what it has and leaves the rest of the batch to a later load.
 */
#include "load/copy_load.h"

#include "base/log.h"
#include "base/memory.h"
#include "database/pg_connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first key of the advisory locks, "HIST"; the second one is the table's OID. */
#define LOCK_CLASS		  "1212765012"
#define OPENING_COLUMNS	  13
#define COPY_BUNDLES	  "COPY historian.bundle FROM STDIN (FORMAT binary)"
#define MARK			  ", historian.load_mark()"
#define SAVEPOINT		  "SAVEPOINT " ROW_TRIAL_SAVEPOINT "; "
#define FEWEST_TRIAL_ROWS 128
#define MOST_TRIAL_ROWS	  8192
#define SIFT_NS			  UINT64_C(200000000)

/* Ends a transaction whose commit is after the one of the load, and waits for the same standbys. */
#define SETTLE_SQL "SELECT pg_logical_emit_message(true, 'historiand', ''); " PG_COMMIT_SQL

/*
 * The rows first to first + count - 1 of the batch.  Ranges are a stack: the top one is loaded
 * next.
 */
struct Range
{
	Range *next;
	uint64_t first;
	uint64_t count;
	bool before_named; /* precedes a row that PostgreSQL has named, so that it should be good */
	bool one_by_one;
};

static void ask(CopyLoad *load, int state, const char *sql);
static void opened(CopyLoad *load);
static void next_range(CopyLoad *load);
static void put_progress(Bytes *sql, const CopyLoad *load);
static void range_refused(CopyLoad *load, uint64_t first, uint64_t count,
						  const SqlFailure *failure);
static void rows_tried(CopyLoad *load);
static void limit_ranges(CopyLoad *load);
static void push_range(CopyLoad *load, uint64_t first, uint64_t count, bool before_named,
					   bool one_by_one);
static void pop_range(CopyLoad *load);
static void end(CopyLoad *load, LoadStatus verdict);
static LoadStatus answered(CopyLoad *load);
static bool read_answers(CopyLoad *load);

/*
 * SQL
 */

/*
 * Appends an expression: the columns that cannot take the rows as they are sent; NULL if there are
 * none.
 */
static void
put_wrong_columns(Bytes *sql, const char *table)
{
	bytes_puts(sql, "(SELECT string_agg(format('column %I is of type %s', a.attname, "
					"format_type(a.atttypid, a.atttypmod)), ', ') FROM pg_attribute a "
					"JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass(");
	bytes_puts(sql, table);
	bytes_puts(sql, ") AND NOT a.attisdropped AND t.typtype <> 'd' AND CASE a.attname "
					"WHEN 'time' THEN t.oid <> 'int8'::regtype "
					"WHEN 'tag' THEN t.typcategory NOT IN ('S', 'E') "
					"WHEN 'values' THEN t.oid <> 'float8[]'::regtype ELSE false END)");
}

static void
put_lock(Bytes *sql, const char *table)
{
	bytes_printf(sql, "pg_advisory_xact_lock_shared(" LOCK_CLASS ", to_regclass(%s)::oid::int4)",
				 table);
}

void
load_sql_make(LoadSql *sql, const Config *config)
{
	Bytes text = {0};
	char *table;

	pg_put_literal(&text, config->table_sql);
	table = bytes_take_text(&text);

	bytes_printf(&text, "COPY %s (time, tag, values) FROM STDIN (FORMAT binary)",
				 config->table_sql);
	sql->copy = bytes_take_text(&text);
	bytes_puts(&text, "; SELECT ");
	put_lock(&text, table);
	sql->lock = bytes_take_text(&text);
	bytes_printf(&text, "; SELECT historian.note_progress(to_regclass(%s), ARRAY[", table);
	sql->note_progress = bytes_take_text(&text);
	/* A table whose columns have other names takes bundles, but COPY, which fails, tells of it. */
	bytes_printf(
		&text,
		", to_regclass(%s)::oid, coalesce(historian.bundle_hindrance(to_regclass(%s)), "
		"CASE WHEN (SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s) "
		"AND attname IN ('time', 'tag', 'values')) <> 3 THEN 'its columns have other names' "
		"WHEN NOT has_table_privilege(to_regclass('historian.bundle'), 'INSERT') "
		"THEN 'the user may not insert into historian.bundle' END)",
		table, table, table);
	sql->look_for_bundles = bytes_take_text(&text);
	bytes_printf(&text, "INSERT INTO %s (time, tag, values) VALUES ($1, $2, $3)",
				 config->table_sql);
	sql->insert = bytes_take_text(&text);
	bytes_puts(&text, "SELECT ");
	put_wrong_columns(&text, table);
	sql->check = bytes_take_text(&text);

	/* A process that hangs within a transaction should not keep PostgreSQL from cleaning up. */
	bytes_printf(&text,
				 "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0; "
				 "SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = %d; ",
				 (int) config->load_timeout_ms);
	sql->begin = bytes_take_text(&text);
	/*
	 * historian.nice is not set if the extension is loaded but has no such setting.  If the
	 * extension is not loaded yet, as without shared_preload_libraries, it takes the setting when
	 * COPY loads it.
	 */
	bytes_printf(&text,
				 "SELECT x, pg_backend_pid(), "
				 "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || ' ' || "
				 "(SELECT stats_reset FROM pg_stat_bgwriter), "
				 "(SELECT set_config('historian.nice', '%d', true) "
				 "WHERE current_setting('historian.nice', true) IS NOT NULL "
				 "OR current_setting('historian.write_buffer', true) IS NULL), ",
				 (int) config->load_nice);
	put_wrong_columns(&text, table);
	sql->look = bytes_take_text(&text);

	bytes_printf(&text,
				 "(SELECT string_agg(l.pid || ' ' || l.virtualtransaction, ', ') FROM pg_locks l "
				 "WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() "
				 "AND l.classid = " LOCK_CLASS " AND l.objid = to_regclass(%s)::oid "
				 "AND l.objsubid = 2 AND l.database = "
				 "(SELECT oid FROM pg_database WHERE datname = current_database())",
				 table);
	sql->commits = bytes_take_text(&text);
	free(table);
}

/*
 * Opening
 */

/*
 * Appends a statement that ends the backend of the load before, if it still executes that
 * transaction.  A backend that waits for a synchronous standby is left alone: it has committed, and
 * if it were ended, its rows would be seen before the standby has them.
 */
static void
put_termination(Bytes *sql, const LoadTrace *trace)
{
	bytes_printf(sql,
				 "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s "
				 "AND backend_xid = '%s'::xid8::xid AND wait_event IS DISTINCT FROM 'SyncRep'; ",
				 trace->backend, trace->xid);
}

/* Appends a column: may a function of the extension be called? */
static void
put_has_function(Bytes *sql, const char *name)
{
	bytes_printf(sql,
				 ", EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
				 "WHERE n.nspname = 'historian' AND p.proname = '%s' "
				 "AND has_schema_privilege(n.oid, 'USAGE'))",
				 name);
}

/* Appends the statements that open a load; take_opening() reads their answer. */
static void
put_open(Bytes *sql, const CopyLoad *load)
{
	const LoadTrace *trace = &load->past->trace;
	const LoadPast *past = load->past;

	bytes_puts(sql, load->sql->begin);
	if (PQserverVersion(pg_connection_pq(load->connection)) >= 170000)
		bytes_puts(sql, "SET LOCAL transaction_timeout = 0; ");
	/* Without a COMMIT it cannot commit any more, but its locks may be in the way. */
	if (trace->xid[0] != '\0' && !trace->committing)
		put_termination(sql, trace);
	bytes_puts(sql, load->sql->look);
	if (trace->xid[0] != '\0')
		/* An xid that this server has not given yet is of a history that is gone. */
		bytes_printf(sql, ", CASE WHEN '%s'::xid8 < x THEN pg_xact_status('%s') END", trace->xid,
					 trace->xid);
	else
		bytes_puts(sql, ", NULL");
	if (past->began)
		bytes_puts(sql, ", NULL");
	else
	{
		bytes_printf(sql, ", %s", load->sql->commits);
		if (past->predecessors != NULL)
			bytes_printf(
				sql,
				" AND l.pid || ' ' || l.virtualtransaction = ANY (string_to_array('%s', ', '))",
				past->predecessors);
		bytes_puts(sql, ")");
	}
	/* to_regprocedure() raises an error if the role may not use the schema */
	put_has_function(sql, "bundle_hindrance");
	/* both, because the mark would be of no use without the other one */
	bytes_puts(
		sql,
		", (SELECT count(*) = 2 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
		"WHERE n.nspname = 'historian' AND p.proname IN ('load_mark', 'load_fate') "
		"AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE'))");
	if (trace->committing && trace->mark[0] != '\0' && past->has_marks)
		bytes_printf(sql, ", historian.load_fate('%s')", trace->mark);
	else
		bytes_puts(sql, ", NULL");
	if (past->has_bundles && !past->no_bundles && !load->sift)
		bytes_puts(sql, load->sql->look_for_bundles);
	else
		bytes_puts(sql, ", NULL, NULL");
	put_has_function(sql, "note_progress");
	bytes_puts(sql, " FROM pg_current_xact_id() AS x");
	if (load->sift)
		bytes_puts(sql, "; SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT " ROW_TRIAL_SAVEPOINT);
}

void
copy_load_begin(CopyLoad *load, const LoadSql *sql, PgConnection *connection, const LoadJob *job,
				LoadPast *past, LoadResult *result)
{
	CopyStream stream = load->stream; /* its memory is used again */
	SqlFailure failure = load->failure;
	uint64_t rows = batch_rows(job->batch);
	bool sift = job->way != LOAD_WHOLE;
	Bytes open = {0};

	while (load->ranges != NULL)
		pop_range(load);
	result->position = 0;
	free(load->answer);
	*load = (CopyLoad){
		.sql = sql,
		.connection = connection,
		.job = *job,
		.sift = sift,
		.past = past,
		.result = result,
		.undo = "",
		.trial_rows = job->trial_rows != 0 ? job->trial_rows : FEWEST_TRIAL_ROWS,
		.stream = stream,
	};
	if (job->refused)
		range_refused(load, job->first, rows - job->first, &failure);
	else
		push_range(load, job->first, rows - job->first, false, false);
	put_open(&open, load);
	ask(load, LOAD_OPENING, bytes_text(&open));
	bytes_free(&open);
}

/* Sends statements, whose answers read_answers() takes, and goes to that state. */
static void
ask(CopyLoad *load, int state, const char *sql)
{
	PGconn *pq = pg_connection_pq(load->connection);
	bool all;

	load->state = state;
	load->committed = false;
	load->progress_ms = uv_hrtime() / 1000000;
	free(load->answer);
	load->answer = NULL;
	/* If that fails the connection is broken, and its owner is told. */
	if (!PQsendQuery(pq, sql))
		sql_failure_set(&load->failure, "08006", PQerrorMessage(pq));
	pg_connection_flush(load->connection, &all);
}

static void
copy_field(char *to, size_t size, const PGresult *result, int column)
{
	snprintf(to, size, "%s", PQgetvalue(result, 0, column));
}

/* Reads whether the rows may be sent in bundles, and tells the log if that has changed. */
static void
take_bundles(CopyLoad *load, const PGresult *result)
{
	LoadPast *past = load->past;
	const char *hindrance = PQgetisnull(result, 0, 11) ? NULL : PQgetvalue(result, 0, 11);

	past->has_bundles = bundle_possible() && PQgetvalue(result, 0, 7)[0] == 't';
	if (PQgetisnull(result, 0, 10))
		return;
	if (hindrance == NULL)
		load->table = (uint32_t) strtoul(PQgetvalue(result, 0, 10), NULL, 10);
	if (hindrance != NULL && (past->hindrance == NULL || strcmp(hindrance, past->hindrance) != 0))
		log_info("rows are sent one by one, which takes longer than bundles: %s", hindrance);
	free(past->hindrance);
	past->hindrance = hindrance != NULL ? memory_strdup(hindrance) : NULL;
}

/*
 * Reads the answer to put_open(): whether the load may begin, must wait or has been committed
 * already.
 */
static void
take_opening(CopyLoad *load, const PGresult *result)
{
	const LoadTrace *before = &load->past->trace;
	bool known = !PQgetisnull(result, 0, 9);
	const char *fate = PQgetvalue(result, 0, known ? 9 : 5);
	char text[512];

	copy_field(load->opened.xid, sizeof(load->opened.xid), result, 0);
	copy_field(load->opened.backend, sizeof(load->opened.backend), result, 1);
	copy_field(load->opened.server, sizeof(load->opened.server), result, 2);
	take_bundles(load, result);
	load->past->has_marks = PQgetvalue(result, 0, 8)[0] == 't';
	known |= before->server[0] != '\0' && strcmp(before->server, load->opened.server) == 0;
	load->past->has_progress = PQgetvalue(result, 0, 12)[0] == 't';
	if (before->committing && strcmp(fate, "in progress") == 0)
	{
		snprintf(text, sizeof(text), "the load before is not over yet in PostgreSQL (backend %s)",
				 before->backend);
		sql_failure_set(&load->failure, "55006", text);
		load->verdict = LOAD_WAITS;
	}
	else if (before->committing && strcmp(fate, "committed") == 0 && known)
		load->settled = true;
	else if (!PQgetisnull(result, 0, 6))
	{
		free(load->past->predecessors);
		load->past->predecessors = memory_strdup(PQgetvalue(result, 0, 6));
		snprintf(text, sizeof(text),
				 "a commit from before the start of this process is not over yet (backend, "
				 "transaction: %s)",
				 load->past->predecessors);
		sql_failure_set(&load->failure, "55006", text);
		load->verdict = LOAD_WAITS;
	}
	else if (!PQgetisnull(result, 0, 4))
	{
		snprintf(text, sizeof(text), "the table has changed: %s", PQgetvalue(result, 0, 4));
		sql_failure_set(&load->failure, "42804", text);
		load->verdict = LOAD_UNAVAILABLE;
	}
}

/* Begins with the rows if the answer to put_open() allows it. */
static void
opened(CopyLoad *load)
{
	LoadPast *past = load->past;

	if (load->settled)
	{
		ask(load, LOAD_SETTLING, SETTLE_SQL);
		return;
	}
	if (sql_failure_is_set(&load->failure))
	{
		/* The extension may be another one by now, without the functions. */
		past->has_bundles = false;
		past->has_marks = false;
		end(load, load->verdict == LOAD_RUNNING ? LOAD_UNAVAILABLE : load->verdict);
		return;
	}
	past->began = true;
	past->trace = load->opened;
	refusals_clear(&load->result->refusals);
	load->result->end = batch_rows(load->job.batch);
	if (load->job.way == LOAD_SIFT_PART)
		load->deadline_ns = uv_hrtime() + SIFT_NS;
	next_range(load);
}

/*
 * Advancing
 */

LoadStatus
copy_load_advance(CopyLoad *load)
{
	load->progress_ms = uv_hrtime() / 1000000;
	if (load->state == LOAD_COPYING)
	{
		const Range *range = load->ranges;
		const SqlFailure *failure = &load->stream.failure;

		if (!copy_stream_advance(&load->stream))
			return LOAD_RUNNING;
		snprintf(load->past->trace.mark, sizeof(load->past->trace.mark), "%s", load->stream.answer);
		load->past->no_bundles |= load->table != 0 && sql_failure_is_set(failure);
		if (!load->stream.began || (sql_failure_is_set(failure) && !sql_failure_of_row(failure)))
		{
			load->failure = *failure;
			end(load, LOAD_UNAVAILABLE);
		}
		else if (!load->sift && sql_failure_is_set(failure))
		{
			load->failure = *failure;
			/* the line that an error of bundles names is that of a bundle */
			if (load->table != 0)
				load->failure.row = -1;
			end(load, LOAD_REFUSED);
		}
		else if (sql_failure_is_set(failure))
		{
			uint64_t first = range->first;
			uint64_t count = range->count;

			load->names_wrong |= range->before_named;
			load->undo = "ROLLBACK TO " SAVEPOINT;
			pop_range(load);
			range_refused(load, first, count, failure);
			next_range(load);
		}
		else
		{
			load->undo = "RELEASE " SAVEPOINT SAVEPOINT;
			pop_range(load);
			next_range(load);
		}
		return LOAD_RUNNING;
	}
	if (load->state == LOAD_TRYING)
	{
		if (row_trial_advance(&load->trial))
			rows_tried(load);
		return LOAD_RUNNING;
	}
	return read_answers(load) ? answered(load) : LOAD_RUNNING;
}

/* Reads the answers to the statements of ask(); returns whether all have come. */
static bool
read_answers(CopyLoad *load)
{
	PGconn *pq = pg_connection_pq(load->connection);
	PGresult *result;

	while (!PQisBusy(pq) && (result = PQgetResult(pq)) != NULL)
	{
		switch (PQresultStatus(result))
		{
			case PGRES_TUPLES_OK:
				if (load->committed)
					load->result->position = pg_read_position(result);
				else if (load->state == LOAD_OPENING && PQnfields(result) == OPENING_COLUMNS)
					take_opening(load, result);
				else if (load->state == LOAD_CHECKING && PQnfields(result) == 2)
					copy_field(load->past->trace.mark, sizeof(load->past->trace.mark), result, 1);
				else if (load->answer == NULL && PQntuples(result) == 1 &&
						 PQgetvalue(result, 0, 0)[0] != '\0')
					load->answer = memory_strdup(PQgetvalue(result, 0, 0));
				break;
			case PGRES_COMMAND_OK:
				load->committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
				break;
			default:
				/* after COMMIT, only the position can fail, without which the load is as good */
				if (!load->committed)
					sql_failure_note(&load->failure, result);
				break;
		}
		PQclear(result);
	}
	return !PQisBusy(pq);
}

/*
 * If the commit that was answered has given up waiting for a synchronous standby, because somebody
 * has cancelled it, waits for the standby by another commit, and returns true.  The rows can be seen,
 * but a failover could lose them.
 */
static bool
wait_again(CopyLoad *load)
{
	Bytes sql = {0};

	if (!pg_connection_take_not_replicated(load->connection))
		return false;
	log_warning("a commit was told not to wait for the synchronous standby; waiting for it again");
	load->past->trace.not_replicated = true;
	bytes_puts(&sql, load->sql->begin);
	if (PQserverVersion(pg_connection_pq(load->connection)) >= 170000)
		bytes_puts(&sql, "SET LOCAL transaction_timeout = 0; ");
	bytes_puts(&sql, SETTLE_SQL);
	ask(load, LOAD_SETTLING, bytes_text(&sql));
	bytes_free(&sql);
	return true;
}

/* Goes to the next state after all answers to ask() have come. */
static LoadStatus
answered(CopyLoad *load)
{
	SqlFailure *failure = &load->failure;

	switch (load->state)
	{
		case LOAD_OPENING:
			opened(load);
			return LOAD_RUNNING;
		case LOAD_PREPARING:
			if (sql_failure_is_set(failure))
				end(load, LOAD_UNAVAILABLE);
			else
				next_range(load);
			return LOAD_RUNNING;
		case LOAD_CHECKING:
			if (load->answer != NULL)
			{
				char text[512];

				snprintf(text, sizeof(text), "the table has changed: %s", load->answer);
				sql_failure_set(failure, "42804", text);
			}
			if (sql_failure_is_set(failure))
			{
				end(load, LOAD_UNAVAILABLE);
				return LOAD_RUNNING;
			}
			load->past->trace.committing = true;
			ask(load, LOAD_COMMITTING, PG_COMMIT_SQL);
			return LOAD_RUNNING;
		case LOAD_COMMITTING:
			if (!sql_failure_is_set(failure) && load->committed)
			{
				if (wait_again(load))
					return LOAD_RUNNING;
				load->past->trace = (LoadTrace){0};
				load->past->no_bundles = false;
				return LOAD_COMMITTED;
			}
			sql_failure_set(failure, "25P02", "the transaction was rolled back");
			return sql_failure_of_row(failure) && !load->sift ? LOAD_REFUSED : LOAD_UNAVAILABLE;
		case LOAD_SETTLING:
			/*
			 * If the role lacks the privilege, PostgreSQL's word for the commit must be enough,
			 * unless its word is that the standby may lack it.
			 */
			if (sql_failure_is_set(failure) &&
				(load->past->trace.not_replicated || strcmp(failure->sqlstate, "42501") != 0))
				return LOAD_UNAVAILABLE;
			if (wait_again(load))
				return LOAD_RUNNING;
			load->past->trace = (LoadTrace){0};
			return LOAD_COMMITTED;
		default:
			return load->verdict;
	}
}

/* Rolls back, and ends with that verdict whatever the answers are. */
static void
end(CopyLoad *load, LoadStatus verdict)
{
	const LoadTrace *trace = &load->past->trace;
	Bytes sql = {0};

	load->verdict = verdict;
	bytes_puts(&sql, "ROLLBACK; ");
	if (verdict == LOAD_WAITS && trace->committing)
		put_termination(&sql, trace);
	ask(load, LOAD_ENDING, bytes_text(&sql));
	bytes_free(&sql);
}

/*
 * Ranges
 */

/*
 * Counts the rows that the load commits by their streams.  Returns a list by next_tallied of the
 * streams, whose tallies the caller clears.
 */
static StreamName *
tally_streams(const CopyLoad *load)
{
	const Refusals *refusals = &load->result->refusals;
	StreamName *nameless = stream_name_of("", 0);
	StreamName *tallied = NULL;
	uint64_t first = load->job.first;
	uint64_t end = load->result->end;
	BatchCursor cursor;
	size_t refused = 0;

	if (!batch_has_streams(load->job.batch))
	{
		nameless->tally = end - first - refusals->count;
		nameless->next_tallied = NULL;
		return nameless;
	}
	batch_cursor_seek(&cursor, load->job.batch, first);
	for (uint64_t row = first; row < end && batch_cursor_next(&cursor) != NULL; row++)
	{
		StreamName *stream = batch_cursor_source(&cursor).stream;

		if (refused < refusals->count && refusals->rows[refused].row == row)
		{
			refused++;
			continue;
		}
		if (stream == NULL)
			stream = nameless;
		if (stream->tally++ > 0)
			continue;
		stream->next_tallied = tallied;
		tallied = stream;
	}
	return tallied;
}

/*
 * Appends the statement that counts the rows of the load for their streams, in its transaction.  It
 * comes last, because it locks what another server's load may want to change.
 */
static void
put_progress(Bytes *sql, const CopyLoad *load)
{
	Bytes counts = {0};
	const char *comma = "";

	if (!load->past->has_progress)
		return;
	bytes_puts(sql, load->sql->note_progress);
	for (StreamName *stream = tally_streams(load); stream != NULL; stream = stream->next_tallied)
	{
		if (stream->tally == 0)
			continue;
		bytes_puts(sql, comma);
		pg_put_literal(sql, stream->text);
		bytes_printf(&counts, "%s%llu", comma, (unsigned long long) stream->tally);
		stream->tally = 0;
		comma = ",";
	}
	bytes_printf(sql, "]::text[], ARRAY[%s]::int8[])", bytes_text(&counts));
	bytes_free(&counts);
}

/* Appends the last statement before the commit, and what the transaction leaves for later ones. */
static void
put_locked(Bytes *sql, const CopyLoad *load, const char *statement)
{
	bytes_puts(sql, statement);
	put_progress(sql, load);
	bytes_puts(sql, load->sql->lock);
	if (load->past->has_marks)
		bytes_puts(sql, MARK);
}

/* Loads the range on top of the stack, or commits if there is none. */
static void
next_range(CopyLoad *load)
{
	const Range *range;
	Bytes sql = {0};

	limit_ranges(load);
	range = load->ranges;
	if (range != NULL && range->one_by_one && load->undo[0] != '\0')
	{
		ask(load, LOAD_PREPARING, load->undo);
		load->undo = "";
		return;
	}
	if (range != NULL && range->one_by_one)
	{
		load->state = LOAD_TRYING;
		row_trial_begin(&load->trial, load->connection, load->sql->insert, load->job.batch,
						range->first, range->count, load->deadline_ns, &load->result->refusals);
		return;
	}
	bytes_puts(&sql, load->undo);
	load->undo = "";
	if (range == NULL)
		put_locked(&sql, load, load->sql->check);
	else if (range != NULL && load->sift)
		bytes_puts(&sql, load->sql->copy);
	else if (range != NULL)
		put_locked(&sql, load, load->table != 0 ? COPY_BUNDLES : load->sql->copy);
	if (range == NULL && load->sift)
		ask(load, LOAD_CHECKING, bytes_text(&sql));
	else if (range == NULL)
	{
		load->past->trace.committing = true;
		ask(load, LOAD_COMMITTING, PG_COMMIT_SQL);
	}
	else
	{
		load->state = LOAD_COPYING;
		if (load->table != 0)
			copy_stream_begin_bundles(&load->stream, load->connection, bytes_text(&sql),
									  load->table, load->job.batch, range->first, range->count);
		else
			copy_stream_begin(&load->stream, load->connection, bytes_text(&sql), load->job.batch,
							  range->first, range->count);
	}
	bytes_free(&sql);
}

/*
 * Cuts a range that was refused.  If PostgreSQL checks rows as they come, it names the bad one, and
 * the rows before that are good.  If it checks them later, it names a wrong one; that is noticed
 * when the rows before that are refused too, and from then on ranges are halved.  The range that is
 * pushed last is loaded first, so that rows keep the order of arrival.
 */
static void
range_refused(CopyLoad *load, uint64_t first, uint64_t count, const SqlFailure *failure)
{
	uint64_t named = (uint64_t) failure->row;
	uint64_t rest;

	if (count <= load->trial_rows)
		push_range(load, first, count, false, true);
	else if (failure->row >= 0 && named < count && !load->names_wrong)
	{
		rest = named + load->trial_rows < count ? named + load->trial_rows : count;
		push_range(load, first + rest, count - rest, false, false);
		push_range(load, first + named, rest - named, false, true);
		push_range(load, first, named, true, false);
	}
	else
	{
		push_range(load, first + count / 2, count - count / 2, false, false);
		push_range(load, first, count / 2, false, false);
	}
}

/*
 * Goes on after rows were tried.  If many of them were bad, larger pieces are tried row by row from
 * now on, because a COPY of them would be in vain.
 */
static void
rows_tried(CopyLoad *load)
{
	const RowTrial *trial = &load->trial;
	const Refusals *refusals = &load->result->refusals;
	uint64_t left = load->ranges->count - trial->count;
	size_t refused = 0;

	if (sql_failure_is_set(&trial->failure))
	{
		load->failure = trial->failure;
		end(load, LOAD_UNAVAILABLE);
		return;
	}
	while (refused < refusals->count && refused <= trial->count / 8 &&
		   refusals->rows[refusals->count - refused - 1].row >= trial->first)
		refused++;
	if (refused > trial->count / 8)
		load->trial_rows =
			load->trial_rows * 2 < MOST_TRIAL_ROWS ? load->trial_rows * 2 : MOST_TRIAL_ROWS;
	else
		load->trial_rows = FEWEST_TRIAL_ROWS;
	load->undo = "";
	pop_range(load);
	push_range(load, trial->first + trial->count, left, false, false);
	next_range(load);
}

/* With LOAD_SIFT_PART: keeps the range on top short, and drops all ranges when time is up. */
static void
limit_ranges(CopyLoad *load)
{
	const Range *range = load->ranges;

	if (load->job.way != LOAD_SIFT_PART || range == NULL)
		return;
	if (uv_hrtime() >= load->deadline_ns && range->first > load->job.first)
	{
		load->result->end = range->first;
		load->result->trial_rows = load->trial_rows;
		while (load->ranges != NULL)
			pop_range(load);
	}
	else if (range->count > MOST_TRIAL_ROWS && !range->before_named)
	{
		uint64_t first = range->first;
		uint64_t count = range->count;

		pop_range(load);
		push_range(load, first + MOST_TRIAL_ROWS, count - MOST_TRIAL_ROWS, false, false);
		push_range(load, first, MOST_TRIAL_ROWS, false, false);
	}
}

static void
push_range(CopyLoad *load, uint64_t first, uint64_t count, bool before_named, bool one_by_one)
{
	Range *range;

	if (count == 0)
		return;
	range = memory_new(sizeof(Range));
	*range = (Range){load->ranges, first, count, before_named, one_by_one};
	load->ranges = range;
}

static void
pop_range(CopyLoad *load)
{
	Range *range = load->ranges;

	load->ranges = range->next;
	free(range);
}
