/*
 * set_aside.h
 *	  Rows that are loaded after others, because some of them are likely to be refused.
 *
 * They are loaded in parts, between whose loads other batches are.  Rows with one of their tags that come
 * meanwhile are set aside too, behind them, so that those of a tag are loaded in the order of arrival.
 * Lives on the writer's loop.
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
 * Of the batch that the backlog gave last the rows before end are dealt with, those in refusals by refusal.
 * Sets some of the others aside; the batch keeps the rest, in new memory.  round says how many times that was
 * done with this batch before; each time more are set aside, in the end all.
 */
extern void set_aside_suspects(SetAside *aside, IngestBatch *batch, uint64_t end,
							   const Refusals *refusals, int round);

/* Moves the rows of that batch that must be loaded after what is set aside, before it is loaded. */
extern void set_aside_followers(SetAside *aside, IngestBatch *batch);

extern bool set_aside_empty(const SetAside *aside);

/* What is to be loaded next, and which is its first row that is not dealt with; NULL: nothing. */
extern IngestBatch *set_aside_next(SetAside *aside, uint64_t *first);

/* Of that batch the rows before end are dealt with.  May free it. */
extern void set_aside_done(SetAside *aside, uint64_t end);

/* How long ago the oldest of the rows arrived; 0: there is none. */
extern uint64_t set_aside_age_ms(const SetAside *aside, uint64_t now_ms);

/* The process ends: puts them into the spool.  Blocks.  Returns how many could not be saved. */
extern uint64_t set_aside_save(SetAside *aside);

#endif /* HISTORIAND_SET_ASIDE_H */
