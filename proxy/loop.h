/*
 * loop.h
 *	  An event loop that serves HTTP, as far as routes use it, and what all loops share.
 *
 * Each loop has a thread, and serves its connections alone.  The loops share the settings, the
 * ingest buffer and other modules that guard themselves.  They have a copy of the writer's state,
 * which the main thread renews.
 */
#ifndef HISTORIAND_LOOP_H
#define HISTORIAND_LOOP_H

#include "base/config.h"
#include "base/list.h"
#include "base/metrics.h"
#include "database/database_metrics.h"
#include "database/pg_pool.h"
#include "database/pg_reads.h"
#include "database/sql_failure.h"
#include "http/http_exchange.h"
#include "ingest/commit.h"
#include "ingest/ingest.h"
#include "ingest/point_merge.h"
#include "load/edit.h"
#include "load/name_teller.h"
#include "load/table_check.h"
#include "watch/watchdog.h"

#include <pthread.h>
#include <stdatomic.h>

/* The state of the writer, as the main thread found it last. */
typedef struct WriterState
{
	atomic_bool connected;
	atomic_bool starting;				  /* PostgreSQL has neither been reached yet, nor not */
	pthread_mutex_t trouble_lock;		  /* guards trouble */
	char trouble[SQL_FAILURE_TEXT_BYTES]; /* why PostgreSQL does not take rows; "": it does */
	_Atomic uint64_t oldest_age_ms;
	_Atomic uint64_t spool_bytes;
	_Atomic uint64_t set_aside;
} WriterState;

typedef struct LoopShared
{
	const Config *config;
	Tokens *tokens; /* NULL: none are asked for */
	Quotas *quotas;
	Budget *results; /* of all loops, as HttpLoop has it; and the next one */
	Budget *states;
	Ingest *ingest;
	FieldPlaces *field_places; /* of line protocol, as the next one */
	PointMerge *points;
	DatabaseMetrics *database_metrics;
	Watchdog *watchdog;
	TableCheck *table_check;
	WriterState writer;
	PgPoolSight sights[PG_POOL_SIGHTS];
	Metrics *metrics[CONFIG_MAX_THREADS + 1]; /* of each loop, and of the writer */
	int metrics_count;
	atomic_bool draining; /* the server is stopping, and takes no new connections */
} LoopShared;

typedef struct Loop
{
	HttpLoop http;
	LoopShared *shared;
	Metrics metrics;
	PgPool *pool;	 /* for reads, by --read-database */
	PgPool *primary; /* for reads of the primary */
	PgReads *reads;	 /* both */
	PgPool *writes;	 /* for statements that write, which must reach the primary */
	Edits *edits;
	NameTeller *name_teller;
	CommitQueue waiters;
	List placeless; /* of Intake.placeless: partial bodies with points that wait for their places */
	struct Hub *live;	/* of route_stream.c; NULL: there were no streams yet */
	Stack free_intakes; /* of intake.c, for the next requests */
	int free_intake_count;
} Loop;

/* The loop that a request came to. */
static inline Loop *
loop_of(const Exchange *exchange)
{
	return (Loop *) ((char *) exchange->loop - offsetof(Loop, http));
}

#endif /* HISTORIAND_LOOP_H */
