/*
 * set_aside.h
 *	  Rows that are loaded after others, because some of them are likely to be refused.
 *
 * These rows are loaded in parts; other batches are loaded between two parts.  Rows that come
 * meanwhile with one of their tags are set aside behind them, so that the rows of a tag are loaded
 * in the order of arrival.  All of this belongs to the writer's loop.
 */
#ifndef HISTORIAND_SET_ASIDE_H
#define HISTORIAND_SET_ASIDE_H

#include "load/backlog.h"
#include "ingest/commit.h"
#include "ingest/ingest.h"
#include "load/refusals.h"

typedef struct SetAside SetAside;

extern SetAside *set_aside_new(Ingest *ingest, Backlog *backlog, CommitBoard *board);

/*
 * The rows before end of the batch that the backlog gave last are loaded, or rejected as refusals
 * says.  Of the rows from there on, sets those aside that are likely to be refused; the batch keeps
 * the others, in new memory.  round says how often that was done with this batch before; more rows
 * are set aside each time, and all of them in the third round.
 */
extern void set_aside_suspects(SetAside *aside, IngestBatch *batch, uint64_t end,
							   const Refusals *refusals, int round);

/* Before a batch is loaded: sets those rows aside that must be loaded after others that are. */
extern void set_aside_followers(SetAside *aside, IngestBatch *batch);

extern bool set_aside_empty(const SetAside *aside);

/*
 * Returns the batch to be loaded next, or NULL, and in *first its first row that is to be loaded.
 */
extern IngestBatch *set_aside_next(SetAside *aside, uint64_t *first);

/* The rows of that batch before end are loaded or rejected.  Frees the batch if these are all. */
extern void set_aside_done(SetAside *aside, uint64_t end);

/* How many rows are set aside. */
extern uint64_t set_aside_rows(const SetAside *aside);

/* How long ago the oldest of the rows arrived; 0: there is none. */
extern uint64_t set_aside_age_ms(const SetAside *aside, uint64_t now_ms);

/*
 * Puts the rows into the spool when the process ends.  Blocks.  Returns how many could not be
 * saved.
 */
extern uint64_t set_aside_save(SetAside *aside);

#endif /* HISTORIAND_SET_ASIDE_H */
