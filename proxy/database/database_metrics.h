/*
 * database_metrics.h
 *	  PostgreSQL's figures about the table, its compaction, its standbys and watched tags, as
 *	  Prometheus text.
 *
 * One loop asks for them at every --metrics-interval; any thread may expose the last answers.
 */
#ifndef HISTORIAND_DATABASE_METRICS_H
#define HISTORIAND_DATABASE_METRICS_H

#include "base/config.h"
#include "base/memory.h"
#include "database/pg_pool.h"

typedef struct DatabaseMetrics DatabaseMetrics;

extern DatabaseMetrics *database_metrics_new(uv_loop_t *loop, const Config *config, PgPool *pool);

/* Appends the last answers, without those of a query that failed the last time. */
extern void database_metrics_expose(DatabaseMetrics *metrics, Bytes *text);

#endif /* HISTORIAND_DATABASE_METRICS_H */
