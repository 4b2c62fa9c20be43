/*
 * copy_writer.h
 *	  Empties the ingest buffer into PostgreSQL, one batch after the other.
 *
 * Lives on one loop; every function is for that loop's thread.
 */
#ifndef HISTORIAND_COPY_WRITER_H
#define HISTORIAND_COPY_WRITER_H

#include "commit.h"
#include "config.h"
#include "ingest.h"
#include "metrics.h"

#include <uv.h>

typedef struct CopyWriter CopyWriter;

/* published(argument) is called after each batch that was dealt with. */
extern CopyWriter *copy_writer_new(uv_loop_t *loop, const Config *config, Ingest *ingest,
								   CommitBoard *board, Metrics *metrics,
								   void (*published)(void *), void *argument);

/* Looks whether a load should start sooner than the timer says. */
extern void copy_writer_nudge(CopyWriter *writer);

/* From now on whatever is buffered is loaded at once. */
extern void copy_writer_drain(CopyWriter *writer);

/* Nothing is loading and nothing is waiting for it. */
extern bool copy_writer_idle(const CopyWriter *writer);
extern bool copy_writer_connected(const CopyWriter *writer);

/* When the oldest message that is not committed arrived; 0: there is none. */
extern uint64_t copy_writer_oldest_ms(const CopyWriter *writer);

/* Messages that are lost if the process ends now. */
extern uint64_t copy_writer_unloaded(CopyWriter *writer);

#endif							/* HISTORIAND_COPY_WRITER_H */
