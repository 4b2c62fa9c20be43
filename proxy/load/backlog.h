/*
 * backlog.h
 *	  What is to be loaded next: the spool's files first, then what the ingest buffer has.
 *
 * Moves the buffer's contents into the spool when memory gets short.  Without a spool it only
 * passes batches on.  Lives on the writer's loop.
 */
#ifndef HISTORIAND_BACKLOG_H
#define HISTORIAND_BACKLOG_H

#include "base/config.h"
#include "ingest/ingest.h"
#include "base/metrics.h"

#include <uv.h>

typedef struct Backlog Backlog;

/*
 * ready(argument) is called when backlog_take() may have something that it did not have before.
 * Returns NULL after logging why the spool cannot be used.
 */
extern Backlog *backlog_new(uv_loop_t *loop, const Config *config, Ingest *ingest, Metrics *metrics,
							void (*ready)(void *), void *argument);

/* The next batch, or NULL where there is none or ready() has to be waited for. */
extern IngestBatch *backlog_take(Backlog *backlog);

/* Would the next batch come from the spool? */
extern bool backlog_spooled(const Backlog *backlog);

/* Did the one that was taken last? */
extern bool backlog_took_spooled(const Backlog *backlog);

/* The batch that was taken last has been dealt with; frees it. */
extern void backlog_done(Backlog *backlog, IngestBatch *batch);

/* Nothing can be loaded now: make room if it is getting short. */
extern void backlog_relieve(Backlog *backlog);

/* Is there nothing that would be lost with the process, apart from the batch that was taken? */
extern bool backlog_safe(const Backlog *backlog);

/*
 * The process ends: puts everything into the spool, also the batch that was taken last (or NULL).
 * Blocks.  Returns how many messages could not be saved.
 */
extern uint64_t backlog_save(Backlog *backlog, IngestBatch *taken);

/*
 * The place in the spool of what is set aside of the batch that was taken last, and to write it there, for
 * a process that ends; blocks, and returns how many messages could not be saved.  0: there is no spool.
 */
extern uint64_t backlog_aside_sequence(const Backlog *backlog);
extern uint64_t backlog_save_at(Backlog *backlog, const IngestBatch *batch, uint64_t sequence);

/* How long the oldest message has been here, apart from the batch that was taken; 0: there is none. */
extern uint64_t backlog_oldest_age_ms(const Backlog *backlog, uint64_t now_ms);

extern bool backlog_has_spool(const Backlog *backlog);
extern uint64_t backlog_spool_bytes(const Backlog *backlog);

#endif /* HISTORIAND_BACKLOG_H */
