/*
 * copy_writer.c
 *	  Loads the messages of the ingest buffer into PostgreSQL, one batch after the other.
 *
 * While one batch is loaded, the next one fills.  A batch is never given up:
 *	- If the connection is lost, even during the commit, the writer connects and loads the batch again,
 *	  unless it was committed after all (copy_load.c).
 *	- If PostgreSQL cannot take rows now (the disk is full, the table or a partition is missing, the
 *	  server is read only), the writer waits and loads the batch again.
 *	- If a row is refused, the bad rows are sifted out.  They are logged, counted, written to the
 *	  dead-letter file and reported to the requests that wait for them; all others are committed.
 *	- If sifting takes long, the rows that are likely to be refused are set aside (set_aside.c).  They
 *	  are loaded in parts, each of which takes a fraction of a second, by turns with other batches.
 */
#include "load/copy_writer.h"

#include "load/backlog.h"
#include "load/copy_load.h"
#include "load/dead_letter.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "database/pg_connection.h"
#include "load/set_aside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUCK_NS		UINT64_C(2000000000) /* after so long, a load does not count as one */
#define STILL_MS		UINT64_C(5000)		 /* after so long without progress, a load is trouble */
#define STALL_CHECK_MS	UINT64_C(1000)
#define LOGGED_REFUSALS 10 /* of a load; the rest are counted */

struct CopyWriter
{
	uv_loop_t *loop;
	const Config *config;
	Ingest *ingest;
	Backlog *backlog;
	SetAside *aside;
	CommitBoard *board;
	Metrics *metrics;
	void (*published)(void *);
	void *published_argument;
	LoadSql sql;

	PgConnection *connection; /* NULL while waiting to connect again */
	bool connected;
	bool was_connected;
	bool tried; /* an attempt to connect has ended */
	bool draining;
	bool earlier; /* the spool may have messages of an earlier process */
	Backoff retry;
	Backoff reconnect; /* shorter, since another host may take over at any time */

	uv_timer_t flush_timer;
	uv_timer_t commit_timer; /* runs while a request waits for a commit, until the load */
	uv_timer_t retry_timer;	 /* runs until connecting or loading may be tried again */
	uv_timer_t stall_timer;
	char trouble
		[SQL_FAILURE_TEXT_BYTES]; /* why PostgreSQL does not take rows; "": it does, as far as is known */
	bool refusing;				  /* PostgreSQL has said so, and has taken no rows since */

	IngestBatch *batch; /* that is being loaded, or NULL */
	bool from_aside;	/* the batch was set aside */
	LoadJob job;
	int round;		/* how often rows of the batch were set aside */
	bool due;		/* the next batch of the backlog should have been taken meanwhile */
	bool loading;	/* load is running */
	bool finishing; /* the batch is loaded, and dead letters are being written */
	CopyLoad load;
	LoadPast past;
	LoadResult result;
	uint64_t batch_start_ns;
	uv_work_t dead_letter_work;
	int dead_letter_error;
};

static void connect_now(CopyWriter *writer);
static void retry_later(CopyWriter *writer, Backoff *backoff);
static void take_batch(CopyWriter *writer);
static void take_aside(CopyWriter *writer);
static void take_next(CopyWriter *writer, bool from_aside);
static void take_or_relieve(void *argument);
static void load_whole(CopyWriter *writer);
static void load_batch(CopyWriter *writer);
static void report_refusals(CopyWriter *writer);
static void batch_loaded(CopyWriter *writer);
static void batch_done(CopyWriter *writer);
static void on_open(void *owner);
static void on_input(void *owner);
static void on_lost(void *owner, const char *reason);
static void on_flush_timer(uv_timer_t *timer);
static void on_retry_timer(uv_timer_t *timer);
static void on_stall_timer(uv_timer_t *timer);

static const PgHandler handler = {on_open, on_input, on_lost};

CopyWriter *
copy_writer_new(uv_loop_t *loop, const Config *config, Ingest *ingest, CommitBoard *board,
				Metrics *metrics, void (*published)(void *), void *argument)
{
	CopyWriter *writer = memory_new(sizeof(CopyWriter));
	uint64_t stall_check_ms;

	writer->loop = loop;
	writer->config = config;
	writer->ingest = ingest;
	writer->board = board;
	writer->metrics = metrics;
	writer->published = published;
	writer->published_argument = argument;
	writer->retry = (Backoff){.first_ms = 100, .largest_ms = 5000};
	writer->reconnect = (Backoff){.first_ms = 100, .largest_ms = 1500};
	load_sql_make(&writer->sql, config);
	snprintf(writer->trouble, sizeof(writer->trouble), "not connected yet");
	writer->backlog = backlog_new(loop, config, ingest, metrics, take_or_relieve, writer);
	if (writer->backlog == NULL)
		return NULL;
	writer->aside = set_aside_new(ingest, writer->backlog, board);
	writer->earlier = backlog_spooled(writer->backlog);
	commit_note_earlier(board, writer->earlier);
	copy_writer_tick(writer);

	uv_timer_init(loop, &writer->flush_timer);
	uv_timer_init(loop, &writer->commit_timer);
	uv_timer_init(loop, &writer->retry_timer);
	uv_timer_init(loop, &writer->stall_timer);
	writer->flush_timer.data = writer;
	writer->commit_timer.data = writer;
	writer->retry_timer.data = writer;
	writer->stall_timer.data = writer;
	uv_timer_start(&writer->flush_timer, on_flush_timer, config->flush_interval_ms,
				   config->flush_interval_ms);
	stall_check_ms =
		config->load_timeout_ms < STALL_CHECK_MS ? config->load_timeout_ms : STALL_CHECK_MS;
	uv_timer_start(&writer->stall_timer, on_stall_timer, stall_check_ms, stall_check_ms);
	connect_now(writer);
	return writer;
}

/* Should a batch be loaded without waiting for a timer? */
static bool
should_load_now(const CopyWriter *writer)
{
	return writer->draining || ingest_full(writer->ingest) || ingest_oldest(writer->ingest).closed;
}

void
copy_writer_nudge(CopyWriter *writer)
{
	if (should_load_now(writer))
		take_or_relieve(writer);
	else if (ingest_oldest(writer->ingest).awaited &&
			 !uv_is_active((uv_handle_t *) &writer->commit_timer))
		uv_timer_start(&writer->commit_timer, on_flush_timer, writer->config->commit_delay_ms, 0);
}

/* Are there messages that were accepted, and are neither loaded nor in the ingest buffer? */
static bool
has_others(const CopyWriter *writer)
{
	return !set_aside_empty(writer->aside) || backlog_spooled(writer->backlog);
}

/* The messages of earlier processes are loaded: they come before all others. */
static void
no_earlier(CopyWriter *writer)
{
	writer->earlier = false;
	commit_note_earlier(writer->board, false);
}

void
copy_writer_tick(CopyWriter *writer)
{
	if (writer->earlier && writer->batch == NULL && !backlog_spooled(writer->backlog))
		no_earlier(writer);
	ingest_note_settled(writer->ingest, 0, has_others(writer));
}

void
copy_writer_drain(CopyWriter *writer)
{
	writer->draining = true;
	take_batch(writer);
}

bool
copy_writer_idle(const CopyWriter *writer)
{
	return writer->batch == NULL && set_aside_empty(writer->aside) && backlog_safe(writer->backlog);
}

bool
copy_writer_has_spool(const CopyWriter *writer)
{
	return backlog_has_spool(writer->backlog);
}

uint64_t
copy_writer_spool_bytes(const CopyWriter *writer)
{
	return backlog_spool_bytes(writer->backlog);
}

uint64_t
copy_writer_set_aside(const CopyWriter *writer)
{
	return set_aside_rows(writer->aside);
}

uint64_t
copy_writer_save(CopyWriter *writer)
{
	return set_aside_save(writer->aside) +
		   backlog_save(writer->backlog, writer->from_aside ? NULL : writer->batch);
}

bool
copy_writer_trouble(const CopyWriter *writer, char *why, size_t size)
{
	uint64_t still_ms = uv_hrtime() / 1000000 - writer->load.progress_ms;

	if (writer->loading && still_ms >= STILL_MS && writer->trouble[0] == '\0')
		snprintf(why, size, "the load has made no progress for %llu s",
				 (unsigned long long) still_ms / 1000);
	else
		snprintf(why, size, "%s", writer->trouble);
	return why[0] != '\0';
}

bool
copy_writer_starting(const CopyWriter *writer)
{
	return !writer->tried;
}

uint64_t
copy_writer_oldest_age_ms(const CopyWriter *writer)
{
	uint64_t now_ms = uv_hrtime() / 1000000;
	uint64_t age_ms = backlog_oldest_age_ms(writer->backlog, now_ms);
	uint64_t aside_ms = set_aside_age_ms(writer->aside, now_ms);

	if (aside_ms > age_ms)
		age_ms = aside_ms;
	if (writer->batch != NULL && ingest_age_ms(writer->batch, now_ms) > age_ms)
		age_ms = ingest_age_ms(writer->batch, now_ms);
	return age_ms;
}

static void
connect_now(CopyWriter *writer)
{
	writer->connection =
		pg_connection_open(writer->loop, writer->config->database, "",
						   writer->config->database_password_file, &handler, writer);
}

static void
on_open(void *owner)
{
	CopyWriter *writer = owner;

	log_info("connected to PostgreSQL at %s for loading",
			 PQhost(pg_connection_pq(writer->connection)));
	if (writer->was_connected)
		metric_add(&writer->metrics->reconnects, 1);
	writer->connected = true;
	writer->was_connected = true;
	writer->tried = true;
	if (!writer->refusing)
		writer->trouble[0] = '\0';
	if (writer->batch != NULL)
		load_batch(writer);
	else if (should_load_now(writer) || ingest_oldest(writer->ingest).awaited ||
			 !set_aside_empty(writer->aside))
		take_batch(writer);
}

static void
on_lost(void *owner, const char *reason)
{
	CopyWriter *writer = owner;
	const char *cure = pg_connection_cure(reason);

	log_warning("no connection to PostgreSQL for loading: %s", reason);
	if (writer->loading)
		metric_add(&writer->metrics->loads_failed, 1);
	/* libpq's words name hosts and users, which clients that ask for /readyz must not learn. */
	if (!writer->refusing)
		snprintf(writer->trouble, sizeof(writer->trouble), "there is no connection to it%s%s",
				 cure != NULL ? ": " : "", cure != NULL ? cure : "");
	writer->connection = NULL;
	writer->connected = false;
	writer->tried = true;
	writer->loading = false;
	retry_later(writer, &writer->reconnect);
}

static void
retry_later(CopyWriter *writer, Backoff *backoff)
{
	uv_timer_start(&writer->retry_timer, on_retry_timer, backoff_next_ms(backoff), 0);
}

static void
on_retry_timer(uv_timer_t *timer)
{
	CopyWriter *writer = timer->data;

	if (writer->connection == NULL)
		connect_now(writer);
	else if (writer->connected && writer->batch != NULL)
		load_batch(writer);
}

static void
on_flush_timer(uv_timer_t *timer)
{
	CopyWriter *writer = timer->data;

	uv_timer_set_repeat(&writer->flush_timer, writer->config->flush_interval_ms); /* may change */
	take_or_relieve(writer);
}

/* Takes the next batch.  If nothing can be loaded, has the backlog make room for more messages. */
static void
take_or_relieve(void *argument)
{
	CopyWriter *writer = argument;

	take_batch(writer);
	if (writer->batch == NULL || writer->batch_start_ns + STUCK_NS < uv_hrtime() ||
		(writer->from_aside && backlog_spooled(writer->backlog)))
		backlog_relieve(writer->backlog);
}

/* Breaks off a load that makes no progress. */
static void
on_stall_timer(uv_timer_t *timer)
{
	CopyWriter *writer = timer->data;
	uint64_t still_ms = uv_hrtime() / 1000000 - writer->load.progress_ms;

	if (writer->loading && still_ms >= writer->config->load_timeout_ms)
	{
		pg_connection_close(writer->connection);
		writer->refusing = true;
		snprintf(writer->trouble, sizeof(writer->trouble),
				 "a load made no progress (--load-timeout)");
		on_lost(writer, writer->trouble);
	}
}

/*
 * Begins with the next batch of the backlog, unless a load is under way.  If there is no batch, or
 * if it would come from the spool while rows are set aside, begins with the rows that are set
 * aside.
 */
static void
take_batch(CopyWriter *writer)
{
	writer->due = true;
	if (writer->batch != NULL || !writer->connected)
		return;
	if (set_aside_empty(writer->aside) || !backlog_spooled(writer->backlog))
		writer->batch = backlog_take(writer->backlog);
	writer->due = false;
	if (writer->batch == NULL)
	{
		take_aside(writer);
		return;
	}
	uv_timer_stop(&writer->commit_timer);
	writer->batch_start_ns = uv_hrtime();
	writer->from_aside = false;
	set_aside_followers(writer->aside, writer->batch);
	writer->round = 0;
	load_whole(writer);
}

static void
load_whole(CopyWriter *writer)
{
	writer->job = (LoadJob){.batch = writer->batch->rows, .way = LOAD_WHOLE};
	load_batch(writer);
}

/* Begins with the next part of the rows that are set aside, unless a load is under way. */
static void
take_aside(CopyWriter *writer)
{
	uint64_t first;

	if (writer->batch != NULL || !writer->connected)
		return;
	writer->batch = set_aside_next(writer->aside, &first);
	if (writer->batch == NULL)
		return;
	writer->batch_start_ns = uv_hrtime();
	writer->from_aside = true;
	writer->job = (LoadJob){
		.batch = writer->batch->rows,
		.first = first,
		.way = LOAD_SIFT_PART,
		.trial_rows = writer->result.trial_rows,
	};
	load_batch(writer);
}

/* Begins with the next load after one: rows that are set aside and batches take turns. */
static void
take_next(CopyWriter *writer, bool from_aside)
{
	/* A batch that became due during the load of rows set aside has waited long enough. */
	bool due = should_load_now(writer) || ingest_oldest(writer->ingest).awaited ||
			   (from_aside && writer->due);

	if (!set_aside_empty(writer->aside) && !(from_aside && due))
		take_aside(writer);
	else if (due)
		take_batch(writer);
}

static void
load_batch(CopyWriter *writer)
{
	if (writer->finishing || writer->loading)
		return;
	uv_timer_stop(&writer->retry_timer);
	if (batch_rows(writer->batch->rows) == 0)
	{
		/* A damaged file had no good row, or all rows of the batch are set aside. */
		writer->result.end = 0;
		batch_done(writer);
		return;
	}
	writer->loading = true;
	copy_load_begin(&writer->load, &writer->sql, writer->connection, &writer->job, &writer->past,
					&writer->result);
}

/*
 * Is the server read only, as after a failover, or shutting down?  If so, the writer connects
 * again, so that libpq can choose another one of several hosts.
 */
static bool
server_is_wrong(const char *sqlstate)
{
	return strcmp(sqlstate, "25006") == 0 || strncmp(sqlstate, "57P", 3) == 0;
}

/* Notes why PostgreSQL does not take rows, and tries again later. */
static void
load_unavailable(CopyWriter *writer)
{
	const SqlFailure *failure = &writer->load.failure;

	metric_add(&writer->metrics->loads_failed, 1);
	writer->refusing = true;
	sql_failure_describe(failure, writer->trouble);
	log_warning("PostgreSQL does not take rows now, retrying: %s", writer->trouble);
	if (server_is_wrong(failure->sqlstate))
	{
		pg_connection_close(writer->connection);
		writer->connection = NULL;
		writer->connected = false;
		retry_later(writer, &writer->reconnect);
		return;
	}
	retry_later(writer, &writer->retry);
}

/* How many rows the committed load has loaded or rejected. */
static uint64_t
loaded_rows(const CopyWriter *writer)
{
	return writer->result.end - writer->job.first;
}

/* Advances the load, and goes on when it has ended. */
static void
on_input(void *owner)
{
	CopyWriter *writer = owner;
	LoadStatus status;

	if (!writer->loading)
		return;
	status = copy_load_advance(&writer->load);
	if (status == LOAD_RUNNING)
		return;
	writer->loading = false;
	switch (status)
	{
		case LOAD_COMMITTED:
			backoff_reset(&writer->retry);
			backoff_reset(&writer->reconnect);
			writer->refusing = false;
			writer->trouble[0] = '\0';
			metric_add(&writer->metrics->messages_committed,
					   loaded_rows(writer) - writer->result.refusals.count);
			if (writer->load.table != 0)
				metric_add(&writer->metrics->bundle_loads, 1);
			commit_note_position(writer->board, writer->result.position);
			batch_loaded(writer);
			return;
		case LOAD_REFUSED:
			metric_add(&writer->metrics->loads_failed, 1);
			/* Rows of the spool must not be set aside (set_aside.c). */
			writer->job.way = backlog_took_spooled(writer->backlog) ? LOAD_SIFT : LOAD_SIFT_PART;
			writer->job.refused = true;
			load_batch(writer);
			return;
		case LOAD_UNAVAILABLE:
		case LOAD_WAITS:
		case LOAD_RUNNING:
			load_unavailable(writer);
			return;
	}
}

/*
 * Counts the refused rows, logs the first ones, and reports all to the requests that wait for them.
 */
static void
report_refusals(CopyWriter *writer)
{
	const Refusals *refusals = &writer->result.refusals;
	RefusedRows refused = refused_rows(refusals, writer->batch->rows);
	const RefusalReason *reason;
	const BatchRow *row;

	metric_add(&writer->metrics->rejected[REJECT_DATABASE], refusals->count);
	while ((row = refused_rows_next(&refused, &reason)) != NULL)
	{
		if (refused.next <= LOGGED_REFUSALS)
			log_error("PostgreSQL rejected the row of tag \"%.*s\" at %lld: %s (SQLSTATE %s)",
					  (int) refused.cursor.tag_length, refused.cursor.tag, (long long) row->time_ns,
					  reason->message, reason->sqlstate);
		commit_reject(writer->board, batch_cursor_ticket(&refused.cursor), reason->sqlstate,
					  reason->message);
	}
	if (refusals->count > LOGGED_REFUSALS)
		log_error("PostgreSQL rejected %zu rows of this load in all", refusals->count);
}

static void
write_dead_letters(uv_work_t *work)
{
	CopyWriter *writer = work->data;

	writer->dead_letter_error = dead_letter_write(writer->config->dead_letter_file,
												  writer->batch->rows, &writer->result.refusals);
}

static void
on_dead_letters_written(uv_work_t *work, int status)
{
	CopyWriter *writer = work->data;

	(void) status;
	if (writer->dead_letter_error != 0)
		log_error("cannot write %zu rejected rows to %s: %s", writer->result.refusals.count,
				  writer->config->dead_letter_file, strerror(writer->dead_letter_error));
	writer->finishing = false;
	batch_done(writer);
}

/* After a committed load: writes dead letters before the requests that wait are answered. */
static void
batch_loaded(CopyWriter *writer)
{
	report_refusals(writer);
	if (writer->result.refusals.count == 0 || writer->config->dead_letter_file[0] == '\0')
	{
		batch_done(writer);
		return;
	}
	writer->finishing = true;
	writer->dead_letter_work.data = writer;
	uv_queue_work(writer->loop, &writer->dead_letter_work, write_dead_letters,
				  on_dead_letters_written);
}

/*
 * Publishes and frees a batch of the backlog, all rows of which are loaded, rejected or set aside.
 */
static void
batch_over(CopyWriter *writer, IngestBatch *batch)
{
	uint64_t now_ms = uv_hrtime() / 1000000;

	for (int i = 0; i < ARRIVAL_SLOTS; i++)
	{
		uint64_t arrived_ms = batch->first_ms + (uint64_t) i * batch->slot_ms;

		if (batch->arrivals[i] > 0 && batch->first_ms > 0)
			metric_seconds(&writer->metrics->lag_seconds,
						   now_ms > arrived_ms ? (now_ms - arrived_ms) * 1000000 : 0,
						   batch->arrivals[i]);
	}
	metric_add(&writer->metrics->rejected[REJECT_SPOOL], batch->lost);
	if (batch->damaged && batch->generation > 0)
		commit_lose(writer->board, batch->generation);
	ingest_note_settled(writer->ingest, batch->generation, has_others(writer));
	/* A batch of an earlier process has no generation, and no request waits for it. */
	if (batch->generation > 0)
	{
		if (writer->earlier)
			no_earlier(writer);
		commit_publish(writer->board, batch->generation);
	}
	backlog_done(writer->backlog, batch);
}

/* Sets some of the rows aside that the load has left out, and loads the others. */
static void
load_rest(CopyWriter *writer)
{
	IngestBatch *batch = writer->batch;
	uint64_t rows = batch_rows(batch->rows) - writer->result.end;

	set_aside_suspects(writer->aside, batch, writer->result.end, &writer->result.refusals,
					   writer->round++);
	log_warning("many rows are refused: %llu are set aside, others go first",
				(unsigned long long) (rows - batch_rows(batch->rows)));
	refusals_clear(&writer->result.refusals);
	writer->batch_start_ns = uv_hrtime();
	load_whole(writer);
}

/* Ends a load after its refusals were reported, and begins with the next one. */
static void
batch_done(CopyWriter *writer)
{
	IngestBatch *batch = writer->batch;
	bool from_aside = writer->from_aside;

	metric_add(&writer->metrics->loads, 1);
	metric_rows(&writer->metrics->load_rows, loaded_rows(writer));
	metric_seconds(&writer->metrics->load_seconds, uv_hrtime() - writer->batch_start_ns, 1);
	if (!from_aside && writer->result.end < batch_rows(batch->rows))
	{
		load_rest(writer);
		return;
	}
	writer->batch = NULL;
	if (from_aside)
		set_aside_done(writer->aside, writer->result.end);
	else
		batch_over(writer, batch);
	copy_writer_tick(writer);
	refusals_clear(&writer->result.refusals);
	writer->published(writer->published_argument);
	take_next(writer, from_aside);
}
