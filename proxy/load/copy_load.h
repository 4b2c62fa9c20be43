/*
 * copy_load.h
 *	  One load: the rows of a batch, in one transaction, on an open connection.
 *
 * A state machine without callbacks: begin it, then advance it at every input event of the
 * connection until it is finished.
 *
 * A transaction commits by a COMMIT that is sent when all else is done, and by nothing else.  So a load
 * that was broken off before is over for this server, even if its backend hangs and goes on later.  Of
 * one that was broken off after, the fate is unknown: that is a LoadTrace, by which the next load finds
 * out, and until PostgreSQL has ended that transaction one way or the other, it loads nothing.
 */
#ifndef HISTORIAND_COPY_LOAD_H
#define HISTORIAND_COPY_LOAD_H

#include "ingest/batch.h"
#include "base/config.h"
#include "load/copy_stream.h"
#include "load/refusals.h"
#include "load/row_trial.h"

/* What is to be done about rows that are refused. */
typedef enum LoadWay
{
	LOAD_WHOLE,		/* nothing: the load fails */
	LOAD_SIFT,		/* they are found, however long that takes */
	LOAD_SIFT_PART, /* once that has taken a while the rest of the batch is left out */
} LoadWay;

typedef struct LoadJob
{
	const Batch *batch;
	uint64_t first; /* the rows before this one are not its; 0 but with LOAD_SIFT_PART */
	LoadWay way;
	bool refused;		 /* the load before this one was of the same rows, and ended so */
	uint64_t trial_rows; /* a result's, where bad rows are as frequent; 0: not known */
} LoadJob;

/* What came of the rows of a load that is committed; zeroed before the first one. */
typedef struct LoadResult
{
	Refusals refusals;
	uint64_t end;		 /* the rows from here on were left out */
	uint64_t trial_rows; /* pieces not larger than this are tried row by row */
} LoadResult;

typedef enum LoadStatus
{
	LOAD_RUNNING,
	LOAD_COMMITTED,	  /* the result says which rows */
	LOAD_REFUSED,	  /* some row is why: sift the batch */
	LOAD_UNAVAILABLE, /* nothing is wrong with the rows; try again later */
	LOAD_WAITS,		  /* the same: an earlier transaction must end first */
} LoadStatus;

/* The last transaction that this process has begun to load in. */
typedef struct LoadTrace
{
	char xid[24]; /* "": none that matters */
	char backend[16];
	char server[64]; /* from which start of which history; the same number may mean others there */
	bool committing; /* COMMIT was sent */
} LoadTrace;

/* What lies behind a process's loads; zeroed for a process that starts. */
typedef struct LoadPast
{
	LoadTrace trace;
	bool began;			/* nothing is left of what others were committing at the start */
	char *predecessors; /* those, "pid virtualtransaction, .."; NULL: not asked yet */
} LoadPast;

typedef struct LoadSql
{
	char *begin;
	char *look; /* the first columns of a SELECT */
	char *copy;
	char *copy_and_lock;
	char *insert;
	char *check_and_lock;
	char *commits; /* others' that are under way */
} LoadSql;

typedef struct Range Range;

typedef struct CopyLoad
{
	const LoadSql *sql;
	PgConnection *connection;
	LoadJob job;
	LoadPast *past;
	LoadResult *result;
	bool sift;
	uint64_t progress_ms; /* when something happened */
	enum
	{
		LOAD_OPENING,
		LOAD_COPYING,
		LOAD_PREPARING, /* to try */
		LOAD_TRYING,	/* rows one by one */
		LOAD_CHECKING,	/* is the table still the one that the refused rows were tried on? */
		LOAD_COMMITTING,
		LOAD_SETTLING, /* the last load was committed; waiting until standbys have it too */
		LOAD_ENDING,   /* ROLLBACK */
	} state;
	LoadStatus verdict; /* while ending */
	LoadTrace opened;	/* this transaction's */
	char *answer;		/* to the question at hand: its first column that is not NULL */
	bool settled;		/* the answer to opening: the last load is committed */
	bool committed;		/* the answer to COMMIT */

	/* Sifting. */
	Range *ranges;
	const char *undo; /* statements that must come before the next ones */
	bool names_wrong; /* PostgreSQL named a row that was not the bad one */
	uint64_t trial_rows;
	uint64_t deadline_ns; /* past which rows are left out; 0: none */

	CopyStream stream;
	RowTrial trial;
	SqlFailure failure; /* of a load that is finished and not committed */
} CopyLoad;

extern void load_sql_make(LoadSql *sql, const Config *config);

/* What is pointed to must outlive the load.  load is zeroed or that of an earlier load. */
extern void copy_load_begin(CopyLoad *load, const LoadSql *sql, PgConnection *connection,
							const LoadJob *job, LoadPast *past, LoadResult *result);
extern LoadStatus copy_load_advance(CopyLoad *load);

#endif /* HISTORIAND_COPY_LOAD_H */
