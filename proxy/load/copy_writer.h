/*
 * copy_writer.h
 *	  Loads the messages of the ingest buffer into PostgreSQL, one batch after the other.
 *
 * The writer belongs to one loop; only that loop's thread may call its functions.
 */
#ifndef HISTORIAND_COPY_WRITER_H
#define HISTORIAND_COPY_WRITER_H

#include "ingest/commit.h"
#include "base/config.h"
#include "ingest/ingest.h"
#include "base/metrics.h"

#include <uv.h>

typedef struct CopyWriter CopyWriter;

/*
 * published(argument) is called after outcomes were put on the board.  If the spool cannot be used,
 * logs why and returns NULL.
 */
extern CopyWriter *copy_writer_new(uv_loop_t *loop, const Config *config, Ingest *ingest,
								   CommitBoard *board, Metrics *metrics, void (*published)(void *),
								   void *argument);

/* Starts a load before its timer if it is due. */
extern void copy_writer_nudge(CopyWriter *writer);

/* Must be called some times a second: tells the ingest buffer what is not loaded yet. */
extern void copy_writer_tick(CopyWriter *writer);

/* From now on, all messages are loaded at once. */
extern void copy_writer_drain(CopyWriter *writer);

/* Is no load under way, and would nothing be lost with the process? */
extern bool copy_writer_idle(const CopyWriter *writer);

/* Does PostgreSQL take no rows now?  If so, sets why to the reason. */
extern bool copy_writer_trouble(const CopyWriter *writer, char *why, size_t size);

/* Is the first attempt to connect to PostgreSQL still under way? */
extern bool copy_writer_starting(const CopyWriter *writer);

/* The age of the oldest message that is not committed; 0: there is none. */
extern uint64_t copy_writer_oldest_age_ms(const CopyWriter *writer);

/* How many messages are loaded after others, because some may be refused. */
extern uint64_t copy_writer_set_aside(const CopyWriter *writer);

extern uint64_t copy_writer_spool_bytes(const CopyWriter *writer);
extern bool copy_writer_has_spool(const CopyWriter *writer);

/* Puts all messages into the spool when the process ends.  Blocks.  Returns how many are lost. */
extern uint64_t copy_writer_save(CopyWriter *writer);

#endif /* HISTORIAND_COPY_WRITER_H */
