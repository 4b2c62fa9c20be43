/*
 * copy_load.h
 *	  One load: the rows of a batch, in one transaction, on an open connection.
 *
 * A load is a state machine without callbacks.  The caller begins it, and advances it at every
 * input event of the connection until it is finished.
 *
 * Nothing but the COMMIT, which is sent after all rows, commits the transaction.  So a load that
 * was broken off before that has failed for good, even if its backend hangs and goes on later.  If
 * it was broken off after that, its fate is unknown: its LoadTrace stays, from which the next load
 * finds out.  Until PostgreSQL has ended that transaction one way or the other, no load loads
 * anything.
 */
#ifndef HISTORIAND_COPY_LOAD_H
#define HISTORIAND_COPY_LOAD_H

#include "ingest/batch.h"
#include "base/config.h"
#include "load/copy_stream.h"
#include "load/refusals.h"
#include "load/row_trial.h"

/* What a load does if PostgreSQL refuses rows. */
typedef enum LoadWay
{
	LOAD_WHOLE,		/* the load fails */
	LOAD_SIFT,		/* it finds them, however long that takes, and loads the others */
	LOAD_SIFT_PART, /* the same, but after a while it leaves out the rest of the batch */
} LoadWay;

typedef struct LoadJob
{
	const Batch *batch;
	uint64_t first; /* the first row to be loaded; 0 unless LOAD_SIFT_PART */
	LoadWay way;
	bool refused;		 /* the load before this one had the same rows, and was LOAD_REFUSED */
	uint64_t trial_rows; /* from the result of a load with as many bad rows; 0: not known */
} LoadJob;

/* What became of the rows of a committed load; zeroed before the first load. */
typedef struct LoadResult
{
	Refusals refusals;
	uint64_t end;		 /* the rows from here on were left out */
	uint64_t trial_rows; /* pieces of at most so many rows were tried row by row */
	uint64_t position;	 /* of the WAL, which has the commit before it; 0: not known */
} LoadResult;

typedef enum LoadStatus
{
	LOAD_RUNNING,
	LOAD_COMMITTED,	  /* the result says what became of each row */
	LOAD_REFUSED,	  /* a row is to blame: sift the batch */
	LOAD_UNAVAILABLE, /* no row is to blame: try again later */
	LOAD_WAITS,		  /* an earlier transaction must end first: try again later */
} LoadStatus;

/* The last transaction in which this process has begun to load. */
typedef struct LoadTrace
{
	char xid[24]; /* "": there is none whose fate is unknown */
	char backend[16];
	char server[64];	 /* timeline and start of the statistics: tells whose xid it is */
	char mark[96];		 /* of historian.load_mark(); "": the extension has no such function */
	bool committing;	 /* COMMIT was sent */
	bool not_replicated; /* it was answered, but PostgreSQL has given up waiting for the standby */
} LoadTrace;

/* What loads must know of earlier ones; zeroed when a process starts. */
typedef struct LoadPast
{
	LoadTrace trace;
	bool began;			/* the commits have ended that were under way at the start */
	char *predecessors; /* these commits, "pid virtualtransaction, .."; NULL: not asked for yet */
	bool has_progress;	/* the extension has historian.note_progress(), as this load has found */
	bool has_bundles; /* the extension has the view historian.bundle, as the last load has found */
	bool has_marks;	  /* the extension has the functions of marks, as this load has found */
	bool no_bundles;  /* the last load sent bundles and failed: this one sends rows */
	char *hindrance;  /* why the last load could not send bundles; NULL: it could, or did not ask */
} LoadPast;

typedef struct LoadSql
{
	char *begin;
	char *look;				/* the first columns of the SELECT that opens a load */
	char *look_for_bundles; /* its last columns, if the extension has bundles */
	char *copy;
	char *note_progress; /* a statement as far as the streams and their counts */
	char *insert;
	char *check;   /* that the columns can take the rows */
	char *lock;	   /* what follows the last statement before the commit */
	char *commits; /* a column: the commits of others that are under way */
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
	uint32_t table;		  /* the OID of the table if the rows are sent in bundles, or 0 */
	uint64_t progress_ms; /* when anything happened last */
	enum
	{
		LOAD_OPENING,
		LOAD_COPYING,
		LOAD_PREPARING,	 /* setting the savepoint for rows one by one */
		LOAD_TRYING,	 /* trying rows one by one */
		LOAD_CHECKING,	 /* that the table's columns have not changed while rows were tried */
		LOAD_COMMITTING, /* COMMIT was sent */
		LOAD_SETTLING,	 /* the load before was committed: waiting until standbys have it too */
		LOAD_ENDING,	 /* ROLLBACK was sent */
	} state;
	LoadStatus verdict; /* what the load ends with after LOAD_ENDING */
	LoadTrace opened;	/* this transaction */
	char *answer;		/* the first value of an answer's single row, unless it is empty */
	bool settled;		/* opening has found that the load before was committed */
	bool committed;		/* COMMIT was answered with COMMIT */

	/* sifting */
	Range *ranges;
	const char *undo; /* statements to send before the next ones */
	bool names_wrong; /* PostgreSQL has named a row that was not the bad one */
	uint64_t trial_rows;
	uint64_t deadline_ns; /* later, rows are left out; 0: never */

	CopyStream stream;
	RowTrial trial;
	SqlFailure failure; /* of a load that is finished and not committed */
} CopyLoad;

extern void load_sql_make(LoadSql *sql, const Config *config);

/*
 * All that the arguments point to must outlive the load.  load is zeroed, or was used for one
 * before.
 */
extern void copy_load_begin(CopyLoad *load, const LoadSql *sql, PgConnection *connection,
							const LoadJob *job, LoadPast *past, LoadResult *result);
extern LoadStatus copy_load_advance(CopyLoad *load);

#endif /* HISTORIAND_COPY_LOAD_H */
