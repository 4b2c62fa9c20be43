/*
 * pg_reads.h
 *	  Queries that read, each executed by the server that should answer it, or else by another one.
 *
 * They belong to one loop, as the pools do.
 */
#ifndef HISTORIAND_PG_READS_H
#define HISTORIAND_PG_READS_H

#include "base/config.h"
#include "database/pg_pool.h"

typedef struct PgReads PgReads;
typedef struct PgRead PgRead;

/* What a read must see: nothing, or the commit before a position of the WAL. */
#define PG_READS_MAX_COMMIT 24

extern PgReads *pg_reads_new(PgPool *reads, PgPool *primary, const Config *config);

/*
 * As pg_pool_submit() and pg_pool_stream(), for reads.  Everything is copied.  min_commit may be NULL.
 * If no server has what the read needs, it fails with the SQLSTATE of historian.await_commit(): RH003 if
 * the primary has said that there is no such commit.
 */
extern PgRead *pg_reads_submit(PgReads *reads, const QuerySource *source, const char *min_commit,
							   const char *sql, int parameter_count, const char *const *parameters,
							   RowCallback on_row, QueryCallback callback, void *argument);
extern PgRead *pg_reads_stream(PgReads *reads, const QuerySource *source, const char *min_commit,
							   const char *copy_sql, const StreamHandler *handler, void *argument);

/* As the functions for a PgQuery. */
extern void pg_read_resume(PgRead *read);
extern void pg_read_cancel(PgRead *read);
extern bool pg_read_lag(const PgRead *read, int64_t *lag_ms);

#endif /* HISTORIAND_PG_READS_H */
