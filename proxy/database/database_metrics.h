/*
 * database_metrics.h
 *	  What PostgreSQL knows about the table, its compaction, its standbys and watched tags, as
 *	  Prometheus text.
 *
 * Asked for on one loop (--metrics-interval); any thread may expose the last answers.
 */
#ifndef HISTORIAND_DATABASE_METRICS_H
#define HISTORIAND_DATABASE_METRICS_H

#include "base/config.h"
#include "base/memory.h"
#include "database/pg_pool.h"

typedef struct DatabaseMetrics DatabaseMetrics;

extern DatabaseMetrics *database_metrics_new(uv_loop_t *loop, const Config *config, PgPool *pool);

/* Appends the text; nothing of what PostgreSQL did not answer the last time. */
extern void database_metrics_expose(DatabaseMetrics *metrics, Bytes *text);

#endif /* HISTORIAND_DATABASE_METRICS_H */
