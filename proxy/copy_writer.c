/*
 * copy_writer.c
 *	  Empties the ingest buffer into PostgreSQL, one batch after the other.
 *
 * While one batch loads, the next one fills.  A batch is never given up:
 *	- connection lost, also while waiting for the commit: connect again and load it again.  Rows
 *	  that were committed after all are the same (tag, time) again, which changes nothing.
 *	- PostgreSQL cannot take rows now (disk full, table missing, read only): wait, load it again.
 *	- a row is refused: the load is split around the row that PostgreSQL names, or in half, until
 *	  the bad rows stand alone.  Those are logged, counted, written to the dead-letter file and
 *	  reported to whoever waits for them; all others are committed.
 */
#include "copy_writer.h"

#include "backlog.h"
#include "copy_load.h"
#include "dead_letter.h"
#include "log.h"
#include "memory.h"
#include "pg_connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS	 100
#define RETRY_LARGEST_MS 5000
#define STUCK_NS		 UINT64_C(2000000000) /* a load this long counts as no load */

/* Rows first .. first + count - 1 of the batch; a stack, the next range on top. */
typedef struct Range
{
	struct Range *next;
	uint64_t first;
	uint64_t count;
	enum
	{
		EXPECT_NOTHING,
		EXPECT_COMMIT,	/* stands before a row that PostgreSQL named */
		EXPECT_REFUSAL, /* is that row */
	} expectation;
} Range;

struct CopyWriter
{
	uv_loop_t *loop;
	const Config *config;
	Ingest *ingest;
	Backlog *backlog;
	CommitBoard *board;
	Metrics *metrics;
	void (*published)(void *);
	void *published_argument;
	char *copy_sql;

	PgConnection *connection; /* NULL while waiting to connect again */
	bool connected;
	bool was_connected;
	bool draining;
	uint64_t retry_ms;

	uv_timer_t flush_timer;
	uv_timer_t commit_timer; /* somebody waits for a commit */
	uv_timer_t retry_timer;	 /* runs while something must not be tried yet */
	uv_timer_t stall_timer;
	uint64_t stall_progress;

	/* The batch being loaded, or NULL. */
	IngestBatch *batch;
	Range *ranges;
	bool loading;	/* load is running, for the top range */
	bool finishing; /* nothing is left to load, dead letters are being written */
	CopyLoad load;
	uint64_t batch_start_ns;
	uint64_t rejected;
	bool names_wrong; /* PostgreSQL named a row that was not the bad one */
	Bytes dead_letters;
	uv_work_t dead_letter_work;
	int dead_letter_error;
};

static void connect_now(CopyWriter *writer);
static void retry_later(CopyWriter *writer);
static void take_batch(CopyWriter *writer);
static void take_or_relieve(void *argument);
static void load_next_range(CopyWriter *writer);
static void range_refused(CopyWriter *writer);
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
	Bytes sql = {0};

	writer->loop = loop;
	writer->config = config;
	writer->ingest = ingest;
	writer->board = board;
	writer->metrics = metrics;
	writer->published = published;
	writer->published_argument = argument;
	bytes_printf(&sql, "COPY %s (time, tag, values) FROM STDIN (FORMAT binary)", config->table_sql);
	bytes_append(&sql, "", 1);
	writer->copy_sql = sql.data;
	writer->backlog = backlog_new(loop, config, ingest, metrics, take_or_relieve, writer);
	if (writer->backlog == NULL)
		return NULL;

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
	uv_timer_start(&writer->stall_timer, on_stall_timer, config->load_timeout_ms,
				   config->load_timeout_ms);
	connect_now(writer);
	return writer;
}

/* Without waiting for the timer? */
static bool
should_load_now(const CopyWriter *writer)
{
	return writer->draining || ingest_full(writer->ingest) || ingest_has_closed(writer->ingest);
}

void
copy_writer_nudge(CopyWriter *writer)
{
	if (should_load_now(writer))
		take_or_relieve(writer);
	else if (ingest_awaited(writer->ingest) && !uv_is_active((uv_handle_t *) &writer->commit_timer))
		uv_timer_start(&writer->commit_timer, on_flush_timer, writer->config->commit_delay_ms, 0);
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
	return writer->batch == NULL && backlog_safe(writer->backlog);
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
copy_writer_save(CopyWriter *writer)
{
	return backlog_save(writer->backlog, writer->batch);
}

bool
copy_writer_connected(const CopyWriter *writer)
{
	return writer->connected && !uv_is_active((const uv_handle_t *) &writer->retry_timer);
}

uint64_t
copy_writer_oldest_ms(const CopyWriter *writer)
{
	return writer->batch != NULL ? writer->batch->first_ms : ingest_oldest_ms(writer->ingest);
}

static void
connect_now(CopyWriter *writer)
{
	char setup[192];

	/*
	 * Where the server's extension has no such setting, nothing is set.  Where it has not been loaded
	 * yet, as without shared_preload_libraries, it takes the setting when COPY loads it.
	 */
	snprintf(setup, sizeof(setup),
			 "SELECT set_config('historian.nice', '%d', false) WHERE current_setting('historian.nice', "
			 "true) IS NOT NULL OR current_setting('historian.write_buffer', true) IS NULL",
			 (int) writer->config->load_nice);
	writer->connection =
		pg_connection_open(writer->loop, writer->config->database,
						   writer->config->database_password_file, setup, &handler, writer);
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
	if (writer->batch != NULL)
		load_next_range(writer);
	else if (should_load_now(writer))
		take_batch(writer);
}

static void
on_lost(void *owner, const char *reason)
{
	CopyWriter *writer = owner;

	log_warning("no connection to PostgreSQL for loading: %s", reason);
	if (writer->loading)
		metric_add(&writer->metrics->loads_failed, 1);
	writer->connection = NULL;
	writer->connected = false;
	writer->loading = false;
	retry_later(writer);
}

/* Waits twice as long as the last time in a row. */
static void
retry_later(CopyWriter *writer)
{
	writer->retry_ms = writer->retry_ms == 0 ? RETRY_FIRST_MS : writer->retry_ms * 2;
	if (writer->retry_ms > RETRY_LARGEST_MS)
		writer->retry_ms = RETRY_LARGEST_MS;
	uv_timer_start(&writer->retry_timer, on_retry_timer, writer->retry_ms, 0);
}

static void
on_retry_timer(uv_timer_t *timer)
{
	CopyWriter *writer = timer->data;

	if (writer->connection == NULL)
		connect_now(writer);
	else if (writer->connected && writer->batch != NULL)
		load_next_range(writer);
}

static void
on_flush_timer(uv_timer_t *timer)
{
	CopyWriter *writer = timer->data;

	uv_timer_set_repeat(&writer->flush_timer, writer->config->flush_interval_ms); /* may change */
	take_or_relieve(writer);
}

/* Takes the next batch; where that is not possible, sees that there is room for the next ones. */
static void
take_or_relieve(void *argument)
{
	CopyWriter *writer = argument;

	take_batch(writer);
	if (writer->batch == NULL || writer->batch_start_ns + STUCK_NS < uv_hrtime())
		backlog_relieve(writer->backlog);
}

static void
on_stall_timer(uv_timer_t *timer)
{
	CopyWriter *writer = timer->data;

	if (writer->loading && writer->load.progress == writer->stall_progress)
	{
		pg_connection_close(writer->connection);
		on_lost(writer, "the load made no progress (--load-timeout)");
	}
	writer->stall_progress = writer->load.progress;
}

/* Starts with the next batch if there is one and nothing else is under way. */
static void
take_batch(CopyWriter *writer)
{
	if (writer->batch != NULL || !writer->connected)
		return;
	writer->batch = backlog_take(writer->backlog);
	if (writer->batch == NULL)
		return;
	uv_timer_stop(&writer->commit_timer);
	writer->ranges = memory_new(sizeof(Range));
	writer->ranges->count = batch_rows(writer->batch->rows);
	writer->batch_start_ns = uv_hrtime();
	writer->rejected = 0;
	writer->names_wrong = false;
	load_next_range(writer);
}

static void
load_next_range(CopyWriter *writer)
{
	if (writer->finishing)
		return;
	if (writer->ranges == NULL)
	{
		batch_loaded(writer);
		return;
	}
	writer->loading = true;
	copy_load_begin(&writer->load, writer->connection, writer->copy_sql, writer->batch->rows,
					writer->ranges->first, writer->ranges->count);
}

static void
pop_range(CopyWriter *writer)
{
	Range *range = writer->ranges;

	writer->ranges = range->next;
	free(range);
}

static void
push_range(CopyWriter *writer, uint64_t first, uint64_t count, int expectation)
{
	Range *range;

	if (count == 0)
		return;
	range = memory_new(sizeof(Range));
	range->first = first;
	range->count = count;
	range->expectation = expectation;
	range->next = writer->ranges;
	writer->ranges = range;
}

/*
 * Read only after a failover, or shutting down: connecting again lets libpq choose among several
 * hosts.
 */
static bool
server_is_wrong(const char *sqlstate)
{
	return strcmp(sqlstate, "25006") == 0 || strncmp(sqlstate, "57P", 3) == 0;
}

static void
on_input(void *owner)
{
	CopyWriter *writer = owner;

	if (!writer->loading)
		return;
	switch (copy_load_advance(&writer->load))
	{
		case LOAD_RUNNING:
			return;
		case LOAD_COMMITTED:
			writer->loading = false;
			writer->retry_ms = 0;
			metric_add(&writer->metrics->messages_committed, writer->ranges->count);
			writer->names_wrong |= writer->ranges->expectation == EXPECT_REFUSAL;
			pop_range(writer);
			load_next_range(writer);
			return;
		case LOAD_REFUSED:
			writer->loading = false;
			metric_add(&writer->metrics->loads_failed, 1);
			range_refused(writer);
			load_next_range(writer);
			return;
		case LOAD_UNAVAILABLE:
			writer->loading = false;
			metric_add(&writer->metrics->loads_failed, 1);
			log_warning("PostgreSQL does not take rows now, retrying: %s (SQLSTATE %s)",
						writer->load.message, writer->load.sqlstate);
			if (server_is_wrong(writer->load.sqlstate))
			{
				pg_connection_close(writer->connection);
				writer->connection = NULL;
				writer->connected = false;
			}
			retry_later(writer);
			return;
	}
}

/*
 * Splits the top range so that what is wrong with it gets smaller, down to one row.  Where rows
 * are checked as they come the server's error names the bad one, and one bad row costs two loads.
 * Where they are checked later it names a wrong one; the expectations notice that, and from then
 * on ranges are halved.  Pushed last, loaded first: the order of arrival stays.
 */
static void
range_refused(CopyWriter *writer)
{
	Range range = *writer->ranges;
	int64_t named = writer->load.refused_row;
	const char *sqlstate = writer->load.sqlstate;
	const char *message = writer->load.message;
	BatchCursor cursor;
	const BatchRow *row;

	pop_range(writer);
	writer->names_wrong |= range.expectation == EXPECT_COMMIT;
	if (range.count > 1 && named >= 0 && (uint64_t) named < range.count && !writer->names_wrong)
	{
		uint64_t at = range.first + (uint64_t) named;

		push_range(writer, at + 1, range.count - (uint64_t) named - 1, EXPECT_NOTHING);
		push_range(writer, at, 1, EXPECT_REFUSAL);
		push_range(writer, range.first, (uint64_t) named, EXPECT_COMMIT);
		return;
	}
	if (range.count > 1)
	{
		uint64_t half = range.count / 2;

		push_range(writer, range.first + half, range.count - half, EXPECT_NOTHING);
		push_range(writer, range.first, half, EXPECT_NOTHING);
		return;
	}

	batch_cursor_seek(&cursor, writer->batch->rows, range.first);
	row = batch_cursor_next(&cursor);
	writer->rejected++;
	metric_add(&writer->metrics->rejected[REJECT_DATABASE], 1);
	if (writer->rejected <= 10)
		log_error("PostgreSQL rejected the row of tag \"%.*s\" at %lld: %s (SQLSTATE %s)",
				  (int) cursor.tag_length, cursor.tag, (long long) row->time_ns, message, sqlstate);
	commit_reject(writer->board, row->ticket, sqlstate, message);
	if (writer->config->dead_letter_file[0] != '\0')
		dead_letter_format(&writer->dead_letters, row, cursor.tag, cursor.tag_length, sqlstate,
						   message);
}

static void
write_dead_letters(uv_work_t *work)
{
	CopyWriter *writer = work->data;

	writer->dead_letter_error =
		dead_letter_write(writer->config->dead_letter_file, &writer->dead_letters);
}

static void
on_dead_letters_written(uv_work_t *work, int status)
{
	CopyWriter *writer = work->data;

	(void) status;
	if (writer->dead_letter_error != 0)
		log_error("cannot write %llu rejected rows to %s: %s",
				  (unsigned long long) writer->rejected, writer->config->dead_letter_file,
				  strerror(writer->dead_letter_error));
	bytes_free(&writer->dead_letters);
	writer->finishing = false;
	batch_done(writer);
}

/* Every row is committed or rejected; the rejected ones are put away before anybody is told. */
static void
batch_loaded(CopyWriter *writer)
{
	if (writer->rejected > 10)
		log_error("PostgreSQL rejected %llu rows of this load in all",
				  (unsigned long long) writer->rejected);
	if (writer->dead_letters.length == 0)
	{
		batch_done(writer);
		return;
	}
	writer->finishing = true;
	writer->dead_letter_work.data = writer;
	uv_queue_work(writer->loop, &writer->dead_letter_work, write_dead_letters,
				  on_dead_letters_written);
}

static void
batch_done(CopyWriter *writer)
{
	IngestBatch *batch = writer->batch;
	uint64_t now_ms = uv_hrtime() / 1000000;

	metric_add(&writer->metrics->loads, 1);
	metric_rows(&writer->metrics->load_rows, batch_rows(batch->rows));
	metric_seconds(&writer->metrics->load_seconds, uv_hrtime() - writer->batch_start_ns, 1);
	for (int i = 0; i < ARRIVAL_SLOTS; i++)
	{
		uint64_t arrived_ms = batch->first_ms + (uint64_t) i * batch->slot_ms;

		if (batch->arrivals[i] > 0 && batch->first_ms > 0)
			metric_seconds(&writer->metrics->lag_seconds,
						   now_ms > arrived_ms ? (now_ms - arrived_ms) * 1000000 : 0,
						   batch->arrivals[i]);
	}

	writer->batch = NULL;
	metric_add(&writer->metrics->rejected[REJECT_SPOOL], batch->lost);
	if (batch->damaged && batch->generation > 0)
		commit_lose(writer->board, batch->generation);
	/* Those of an earlier process have no generation, and nobody waits for them. */
	if (batch->generation > 0)
		commit_publish(writer->board, batch->generation);
	backlog_done(writer->backlog, batch);
	writer->published(writer->published_argument);

	/* Who came while this batch was loading has waited long enough. */
	if (should_load_now(writer) || ingest_awaited(writer->ingest))
		take_batch(writer);
}
