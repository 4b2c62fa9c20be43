/*
 * backlog.c
 *	  The batches that are to be loaded: first those of the spool, then those of the ingest buffer.
 *
 * Batches keep the order of arrival, because the later one of two rows with the same tag and time
 * must be loaded later:
 *		the batch that was taken < files of the spool < the batch being sorted or written < the buffer
 */
#include "load/backlog.h"

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "load/spool.h"

#include <pthread.h>
#include <stdlib.h>

struct Backlog
{
	const Config *config;
	uv_loop_t *loop;
	Ingest *ingest;
	Metrics *metrics;
	void (*ready)(void *);
	void *ready_argument;
	Spool *spool; /* NULL: there is none */
	bool taken_from_spool;
	/*
	 * Numbers in the spool for the batch that was taken from memory, and for its rows that are set
	 * aside.
	 */
	uint64_t taken_sequence;
	uint64_t aside_sequence;

	/* reading the spool's first file */
	uv_work_t read_work;
	bool reading; /* the worker owns read_result */
	IngestBatch *read_result;
	IngestBatch *loaded;   /* was read, and is not taken yet */
	uv_timer_t read_timer; /* runs until the file may be tried again */
	Backoff read_retry;
	uint64_t unreadable_ms; /* for how long it could not be read */

	/* a batch of the buffer that is not ready to be taken, or is left to be */
	IngestBatch *outgoing; /* is being sorted or written, or could not be written */
	uv_work_t sort_work;
	bool sorting;
	pthread_mutex_t sort_lock; /* of the order of tags that batches of the buffer share */

	/* writing a file */
	uv_work_t write_work;
	bool writing;
	SpoolFile *outgoing_file;
	bool written;
	uv_timer_t write_timer; /* runs until writing may be tried again */
	Backoff write_retry;

	/* removing the first file: nothing newer may be loaded until it cannot come back */
	uv_work_t remove_work;
	bool removing;
};

static void start_sorting(Backlog *backlog, IngestBatch *batch);
static void start_reading(Backlog *backlog);
static void start_writing(Backlog *backlog);
static void start_removing(Backlog *backlog);
static void on_write_timer(uv_timer_t *timer);

Backlog *
backlog_new(uv_loop_t *loop, const Config *config, Ingest *ingest, Metrics *metrics,
			void (*ready)(void *), void *argument)
{
	Backlog *backlog = memory_new(sizeof(Backlog));

	backlog->config = config;
	backlog->loop = loop;
	backlog->ingest = ingest;
	backlog->metrics = metrics;
	backlog->ready = ready;
	backlog->ready_argument = argument;
	backlog->read_retry = (Backoff){.first_ms = 100, .largest_ms = 5000};
	backlog->write_retry = backlog->read_retry;
	backlog->read_work.data = backlog;
	backlog->sort_work.data = backlog;
	pthread_mutex_init(&backlog->sort_lock, NULL);
	backlog->write_work.data = backlog;
	backlog->remove_work.data = backlog;
	uv_timer_init(loop, &backlog->read_timer);
	uv_timer_init(loop, &backlog->write_timer);
	backlog->read_timer.data = backlog;
	backlog->write_timer.data = backlog;
	if (config->spool_dir[0] != '\0')
	{
		backlog->spool = spool_open(config->spool_dir, config->max_spool_bytes);
		if (backlog->spool == NULL)
			return NULL;
	}
	return backlog;
}

/*
 * Sorts a batch of the buffer, unless that is done.  The last ones are saved while a worker may still be
 * busy with another.
 */
static void
sort_batch(Backlog *backlog, IngestBatch *batch)
{
	pthread_mutex_lock(&backlog->sort_lock);
	batch_close(batch->rows);
	pthread_mutex_unlock(&backlog->sort_lock);
}

bool
backlog_has_spool(const Backlog *backlog)
{
	return backlog->spool != NULL;
}

uint64_t
backlog_spool_bytes(const Backlog *backlog)
{
	return backlog->spool != NULL ? spool_bytes(backlog->spool) : 0;
}

IngestBatch *
backlog_take(Backlog *backlog)
{
	IngestBatch *batch = NULL;

	if (backlog->removing)
		return NULL;
	backlog->taken_from_spool = false;
	if (backlog->loaded != NULL)
	{
		batch = backlog->loaded;
		backlog->loaded = NULL;
		backlog->taken_from_spool = true;
	}
	else if (backlog->spool != NULL && spool_first(backlog->spool) != NULL)
		start_reading(backlog);
	else if (backlog->outgoing != NULL)
	{
		if (!backlog->sorting && !backlog->writing)
		{
			batch = backlog->outgoing;
			backlog->outgoing = NULL;
		}
	}
	else
	{
		batch = ingest_take(backlog->ingest);
		if (batch != NULL && batch_close_is_long(batch->rows))
		{
			start_sorting(backlog, batch);
			batch = NULL;
		}
	}
	if (batch != NULL)
		sort_batch(backlog, batch);
	if (batch != NULL && backlog->spool != NULL && !backlog->taken_from_spool)
	{
		backlog->aside_sequence = spool_next_sequence(backlog->spool);
		backlog->taken_sequence = spool_next_sequence(backlog->spool);
	}
	return batch;
}

bool
backlog_spooled(const Backlog *backlog)
{
	return backlog->loaded != NULL ||
		   (backlog->spool != NULL && spool_first(backlog->spool) != NULL);
}

bool
backlog_took_spooled(const Backlog *backlog)
{
	return backlog->taken_from_spool;
}

uint64_t
backlog_aside_sequence(const Backlog *backlog)
{
	return backlog->aside_sequence;
}

void
backlog_done(Backlog *backlog, IngestBatch *batch)
{
	ingest_release(backlog->ingest, batch);
	if (backlog->taken_from_spool)
		start_removing(backlog);
	backlog->taken_from_spool = false;
}

void
backlog_relieve(Backlog *backlog)
{
	/*
	 * At a quarter of the bound, one batch can be written and one loaded while the next ones
	 * arrive.
	 */
	if (backlog->spool == NULL || backlog->sorting || backlog->writing ||
		uv_is_active((uv_handle_t *) &backlog->write_timer) ||
		(backlog->outgoing == NULL &&
		 ingest_bytes(backlog->ingest) < backlog->config->max_buffered_bytes / 4))
		return;
	start_writing(backlog);
}

bool
backlog_safe(const Backlog *backlog)
{
	return backlog->outgoing == NULL && !backlog->removing &&
		   ingest_oldest(backlog->ingest).first_ms == 0;
}

uint64_t
backlog_oldest_age_ms(const Backlog *backlog, uint64_t now_ms)
{
	const SpoolFile *file = backlog->spool != NULL ? spool_first(backlog->spool) : NULL;
	uint64_t oldest_ms = ingest_oldest(backlog->ingest).first_ms;
	uint64_t age_ms = 0;

	/*
	 * The oldest message is in the first of these places.  A file that is being removed is loaded.
	 */
	if (file != NULL && backlog->removing)
		file = spool_next(backlog->spool, file);
	if (file != NULL)
		age_ms = ingest_age_ms(&file->about, now_ms);
	else if (backlog->outgoing != NULL)
		age_ms = ingest_age_ms(backlog->outgoing, now_ms);
	else if (oldest_ms != 0 && now_ms > oldest_ms)
		age_ms = now_ms - oldest_ms;
	return age_ms;
}

uint64_t
backlog_save_at(Backlog *backlog, const IngestBatch *batch, uint64_t sequence)
{
	SpoolFile *file;

	if (backlog->spool == NULL)
		return batch_rows(batch->rows);
	file = spool_new_file(sequence, batch);
	if (!spool_write(backlog->spool, file, batch, false))
		return batch_rows(batch->rows);
	spool_queue(backlog->spool, file);
	return 0;
}

/* Puts a batch behind all others of the spool. */
static uint64_t
save_last(Backlog *backlog, IngestBatch *batch)
{
	sort_batch(backlog, batch);
	return backlog_save_at(backlog, batch,
						   backlog->spool != NULL ? spool_next_sequence(backlog->spool) : 0);
}

uint64_t
backlog_save(Backlog *backlog, IngestBatch *taken)
{
	uint64_t lost = 0;
	IngestBatch *batch;

	/* The batch that was taken is older than all the others, and has a lower number. */
	if (taken != NULL && !backlog->taken_from_spool)
		lost += backlog_save_at(backlog, taken, backlog->taken_sequence);
	if (backlog->outgoing != NULL)
		lost += save_last(backlog, backlog->outgoing);
	while ((batch = ingest_take(backlog->ingest)) != NULL)
		lost += save_last(backlog, batch);
	return lost;
}

/*
 * Sorting
 */

static void
sort_in_worker(uv_work_t *work)
{
	Backlog *backlog = work->data;

	sort_batch(backlog, backlog->outgoing);
}

static void
on_sorted(uv_work_t *work, int status)
{
	Backlog *backlog = work->data;

	(void) status;
	backlog->sorting = false;
	backlog->ready(backlog->ready_argument);
}

static void
start_sorting(Backlog *backlog, IngestBatch *batch)
{
	backlog->outgoing = batch;
	backlog->sorting = true;
	uv_queue_work(backlog->loop, &backlog->sort_work, sort_in_worker, on_sorted);
}

/*
 * Reading
 */

static void
read_in_worker(uv_work_t *work)
{
	Backlog *backlog = work->data;

	/*
	 * The files after it must not wait for ever.  On the last try the file counts as damaged: it is
	 * kept under another name, and the requests that wait for its rows are told.
	 */
	backlog->read_result = spool_read(backlog->spool, spool_first(backlog->spool),
									  backlog->unreadable_ms >= backlog->config->load_timeout_ms);
}

static void
on_read_timer(uv_timer_t *timer)
{
	start_reading(timer->data);
}

/* Has the batch of a file ready to be taken, or tries to read the file again later. */
static void
on_read(uv_work_t *work, int status)
{
	Backlog *backlog = work->data;

	(void) status;
	backlog->reading = false;
	backlog->loaded = backlog->read_result;
	if (backlog->loaded == NULL)
	{
		uint64_t wait_ms = backoff_next_ms(&backlog->read_retry);

		backlog->unreadable_ms += wait_ms;
		uv_timer_start(&backlog->read_timer, on_read_timer, wait_ms, 0);
		return;
	}
	backoff_reset(&backlog->read_retry);
	backlog->unreadable_ms = 0;
	ingest_adopt(backlog->ingest, backlog->loaded);
	backlog->ready(backlog->ready_argument);
}

static void
start_reading(Backlog *backlog)
{
	if (backlog->reading || backlog->loaded != NULL ||
		uv_is_active((uv_handle_t *) &backlog->read_timer))
		return;
	backlog->reading = true;
	uv_queue_work(backlog->loop, &backlog->read_work, read_in_worker, on_read);
}

/*
 * Writing
 */

static void
write_in_worker(uv_work_t *work)
{
	Backlog *backlog = work->data;

	sort_batch(backlog, backlog->outgoing);
	/* A disk that stays full is logged once. */
	backlog->written = spool_write(backlog->spool, backlog->outgoing_file, backlog->outgoing,
								   backoff_failing(&backlog->write_retry));
}

/* Queues the file and frees its batch, or tries to write again later. */
static void
on_written(uv_work_t *work, int status)
{
	Backlog *backlog = work->data;

	(void) status;
	backlog->writing = false;
	if (backlog->written)
	{
		if (backoff_failing(&backlog->write_retry))
			log_info("the spool can be written to again");
		backoff_reset(&backlog->write_retry);
		metric_add(&backlog->metrics->messages_spooled, batch_rows(backlog->outgoing->rows));
		spool_queue(backlog->spool, backlog->outgoing_file);
		ingest_release(backlog->ingest, backlog->outgoing);
		backlog->outgoing = NULL;
	}
	else
	{
		free(backlog->outgoing_file);
		uv_timer_start(&backlog->write_timer, on_write_timer,
					   backoff_next_ms(&backlog->write_retry), 0);
	}
	backlog->outgoing_file = NULL;
	backlog->ready(backlog->ready_argument);
}

static void
on_write_timer(uv_timer_t *timer)
{
	Backlog *backlog = timer->data;

	/* The copy writer may have taken the batch meanwhile. */
	if (backlog->outgoing != NULL && !backlog->sorting && !backlog->writing)
		start_writing(backlog);
}

/* Writes the batch that could not be written before, or else the oldest one of the buffer. */
static void
start_writing(Backlog *backlog)
{
	if (backlog->outgoing == NULL)
	{
		/* A file is about as large as its messages are in memory. */
		if (!spool_has_room(backlog->spool, ingest_bytes(backlog->ingest)))
			return;
		backlog->outgoing = ingest_take(backlog->ingest);
		if (backlog->outgoing == NULL)
			return;
	}
	backlog->outgoing_file = spool_new_file(spool_next_sequence(backlog->spool), backlog->outgoing);
	backlog->writing = true;
	uv_queue_work(backlog->loop, &backlog->write_work, write_in_worker, on_written);
}

/*
 * Removing
 */

static void
remove_in_worker(uv_work_t *work)
{
	Backlog *backlog = work->data;

	spool_forget(backlog->spool, spool_first(backlog->spool));
}

static void
on_removed(uv_work_t *work, int status)
{
	Backlog *backlog = work->data;

	(void) status;
	backlog->removing = false;
	spool_drop_first(backlog->spool);
	backlog->ready(backlog->ready_argument);
}

static void
start_removing(Backlog *backlog)
{
	backlog->removing = true;
	uv_queue_work(backlog->loop, &backlog->remove_work, remove_in_worker, on_removed);
}
