/*
 * backlog.h
 *	  The batches that are to be loaded: first those of the spool, then those of the ingest buffer.
 *
 * When memory gets short, the backlog moves the buffer's messages into the spool.  Without a spool
 * it only passes batches on.  It belongs to the writer's loop.
 */
#ifndef HISTORIAND_BACKLOG_H
#define HISTORIAND_BACKLOG_H

#include "base/config.h"
#include "ingest/ingest.h"
#include "base/metrics.h"

#include <uv.h>

typedef struct Backlog Backlog;

/*
 * ready(argument) is called when backlog_take() may have a batch that it did not have before.  If
 * the spool cannot be used, logs why and returns NULL.
 */
extern Backlog *backlog_new(uv_loop_t *loop, const Config *config, Ingest *ingest, Metrics *metrics,
							void (*ready)(void *), void *argument);

/* Returns the next batch, or NULL if there is none or if the caller must wait for ready(). */
extern IngestBatch *backlog_take(Backlog *backlog);

/* Will the next batch come from the spool? */
extern bool backlog_spooled(const Backlog *backlog);

/* Did the batch that was taken last come from the spool? */
extern bool backlog_took_spooled(const Backlog *backlog);

/* Frees the batch that was taken last, after its rows were loaded, rejected or set aside. */
extern void backlog_done(Backlog *backlog, IngestBatch *batch);

/* Moves messages into the spool if memory is getting short; called when nothing can be loaded. */
extern void backlog_relieve(Backlog *backlog);

/* Would nothing be lost with the process, apart from the batch that was taken? */
extern bool backlog_safe(const Backlog *backlog);

/*
 * Puts all messages into the spool when the process ends, including the batch that was taken last,
 * if it is not NULL.  Blocks.  Returns how many messages could not be saved.
 */
extern uint64_t backlog_save(Backlog *backlog, IngestBatch *taken);

/*
 * backlog_aside_sequence() gives the number in the spool for the rows that are set aside from the
 * batch that was taken last (0: there is no spool).  backlog_save_at() puts a batch there when the
 * process ends; it blocks, and returns how many messages could not be saved.
 */
extern uint64_t backlog_aside_sequence(const Backlog *backlog);
extern uint64_t backlog_save_at(Backlog *backlog, const IngestBatch *batch, uint64_t sequence);

/* The age of the oldest message, apart from the batch that was taken; 0: there is none. */
extern uint64_t backlog_oldest_age_ms(const Backlog *backlog, uint64_t now_ms);

extern bool backlog_has_spool(const Backlog *backlog);
extern uint64_t backlog_spool_bytes(const Backlog *backlog);

#endif /* HISTORIAND_BACKLOG_H */
