/*
 * row_trial.h
 *	  Inserts rows into a table one by one, so that each is taken or refused by itself.
 *
 * The caller has a transaction in which the last statement set the savepoint ROW_TRIAL_SAVEPOINT.
 * At the end the savepoint is set after the rows that were taken.  A trial is a state machine like
 * that of copy_stream.h.
 */
#ifndef HISTORIAND_ROW_TRIAL_H
#define HISTORIAND_ROW_TRIAL_H

#include "ingest/batch.h"
#include "database/pg_connection.h"
#include "load/refusals.h"
#include "database/sql_failure.h"

#define ROW_TRIAL_SAVEPOINT "historiand"

typedef struct RowTrial
{
	PgConnection *connection;
	const char *insert_sql;
	Refusals *refusals;
	BatchCursor cursor;
	uint64_t first;
	uint64_t count; /* becomes less than was asked for if time is up */
	uint64_t deadline_ns;
	uint64_t sent;
	uint64_t answered;
	bool ended;			/* the statement after the last row was sent */
	SqlFailure failure; /* no row is to blame for it, and the trial counts for nothing */
} RowTrial;

/*
 * insert_sql takes time, tag and values as $1, $2 and $3.  Rows that are refused are added to
 * refusals.  After the deadline (by uv_hrtime(); 0: there is none) the trial ends soon, but it
 * tries at least the first row.
 */
extern void row_trial_begin(RowTrial *trial, PgConnection *connection, const char *insert_sql,
							const Batch *batch, uint64_t first, uint64_t count,
							uint64_t deadline_ns, Refusals *refusals);

/* Returns whether it is finished; failure then says whether it has failed. */
extern bool row_trial_advance(RowTrial *trial);

#endif /* HISTORIAND_ROW_TRIAL_H */
