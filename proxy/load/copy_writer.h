/*
 * copy_writer.h
 *	  Empties the ingest buffer into PostgreSQL, one batch after the other.
 *
 * Lives on one loop; every function is for that loop's thread.
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
 * published(argument) is called after each batch that was dealt with.  Returns NULL after logging
 * what is wrong with the spool.
 */
extern CopyWriter *copy_writer_new(uv_loop_t *loop, const Config *config, Ingest *ingest,
								   CommitBoard *board, Metrics *metrics, void (*published)(void *),
								   void *argument);

/* Looks whether a load should start sooner than the timer says. */
extern void copy_writer_nudge(CopyWriter *writer);

/* From now on whatever is buffered is loaded at once. */
extern void copy_writer_drain(CopyWriter *writer);

/* Nothing is loading and nothing would be lost with the process. */
extern bool copy_writer_idle(const CopyWriter *writer);

/* Does PostgreSQL not take rows now?  Then why says the reason. */
extern bool copy_writer_trouble(const CopyWriter *writer, char *why, size_t size);

/* How long the oldest message that is not committed has been here; 0: there is none. */
extern uint64_t copy_writer_oldest_age_ms(const CopyWriter *writer);

extern uint64_t copy_writer_spool_bytes(const CopyWriter *writer);
extern bool copy_writer_has_spool(const CopyWriter *writer);

/* The process ends: puts what is not loaded into the spool.  Returns the messages lost.  Blocks. */
extern uint64_t copy_writer_save(CopyWriter *writer);

#endif /* HISTORIAND_COPY_WRITER_H */
