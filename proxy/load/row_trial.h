/*
 * row_trial.h
 *	  Rows put into a table one by one, so that each is taken or refused by itself.
 *
 * Works within a transaction that has a savepoint ROW_TRIAL_SAVEPOINT with nothing behind it; at the
 * end the rows that were taken stand before it.
 * A state machine as copy_stream.h.
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
	uint64_t count; /* less than was asked for where time was up */
	uint64_t deadline_ns;
	uint64_t sent;
	uint64_t answered;
	bool ended;			/* what comes after the last row was sent */
	SqlFailure failure; /* that is no row's fault: nothing that was done counts */
} RowTrial;

/*
 * insert_sql takes time, tag and values as $1, $2 and $3.  refusals gets those that are refused.  Past the
 * deadline (0: none; by uv_hrtime()) it ends soon, but tries at least the first row.
 */
extern void row_trial_begin(RowTrial *trial, PgConnection *connection, const char *insert_sql,
							const Batch *batch, uint64_t first, uint64_t count,
							uint64_t deadline_ns, Refusals *refusals);

/* Returns whether it is finished; failure then says how. */
extern bool row_trial_advance(RowTrial *trial);

#endif /* HISTORIAND_ROW_TRIAL_H */
