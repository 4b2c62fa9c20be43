/*
 * server.h
 *	  The whole server: what its loops share, and what each loop has.
 *
 * Every loop runs in a thread of its own and serves its connections alone.  Shared are only the
 * configuration, the ingest buffer, the commit board and the atomics below.  The writer belongs to
 * the first loop.
 */
#ifndef HISTORIAND_SERVER_H
#define HISTORIAND_SERVER_H

#include "ingest/commit.h"
#include "base/config.h"
#include "load/copy_writer.h"
#include "database/database_metrics.h"
#include "http/http_connection.h"
#include "ingest/ingest.h"
#include "base/metrics.h"
#include "database/pg_pool.h"
#include "ingest/point_merge.h"
#include "load/table_check.h"

#include <pthread.h>
#include <uv.h>

typedef struct Server Server;

typedef struct ServerLoop
{
	Server *server;
	pthread_t thread;
	uv_loop_t uv;
	uv_async_t wake;
	uv_timer_t tick;
	uv_tcp_t listener;
	bool listening;
	HttpLoop http;
	Metrics metrics;
	PgPool *pool;
	CommitQueue waiters;
	TurnTask tell_waiters;
	TurnTask accept;			 /* a connection that the listener has ready */
	struct Intake *free_intakes; /* for reuse by intake.c */
	int free_intake_count;
} ServerLoop;

struct Server
{
	const Config *config;
	Ingest *ingest;
	CommitBoard *board;
	Budget memory;		/* of messages, and of requests and answers under way */
	Budget results;		/* of PostgreSQL, and the long answers made of them */
	CopyWriter *writer; /* of the main thread */
	Metrics writer_metrics;
	PointMerge *points; /* of line protocol */
	DatabaseMetrics *database_metrics;
	TableCheck *table_check; /* of the main thread, but for what it found */
	ServerLoop *loops;
	int loop_count;
	atomic_int open_listeners;
	atomic_bool draining;
	atomic_bool stopping; /* what is not answered yet gets its answer now */

	/* The writer's state for other threads; set in each tick of the main thread. */
	atomic_bool database_connected;
	pthread_mutex_t trouble_lock; /* guards trouble */
	char trouble[640];			  /* why PostgreSQL does not take rows; "": it does */
	_Atomic uint64_t oldest_age_ms;
	_Atomic uint64_t spool_bytes;
};

/*
 * Sees that there are descriptors for all connections and everything else: raises the process's
 * limit or, where that is not allowed, lowers max_connections.  Returns false after logging that not
 * even one connection would fit.
 */
extern bool server_fit_descriptors(Config *config);

/*
 * Serves until a signal asks for the end (signals.h) and everything is drained.  Returns the exit
 * code: 0, or 1 where it could not start or messages were lost.  The settings that SIGHUP may change
 * are changed in *config.
 */
extern int server_run(Config *config);

#endif /* HISTORIAND_SERVER_H */
