/*
 * database_metrics.c
 *	  PostgreSQL's figures about the table, its compaction, its standbys and watched tags, as
 *	  Prometheus text.
 *
 * There are several queries, so that the failure of one (no privilege, an older extension) leaves the
 * answers of the others.  Each returns rows of name, type, help, label, the label's value, value;
 * rows of one name follow each other.  An answer is exposed until the next one; a failure removes
 * it, so that old figures are not taken for new ones.
 */
#include "database/database_metrics.h"

#include "base/log.h"
#include "base/metrics.h"

#include <stdlib.h>
#include <string.h>

#define PARTS 4

/* Each query has the first of these parameters: the table, the watched tags. */
static const char *const part_names[PARTS] = {"its standbys", "its tables", "the watched tags",
											  "retention"};
static const char *const part_sql[PARTS] = {
	/* Only members of pg_monitor see the standbys. */
	"WITH standby AS ("
	" SELECT application_name AS name,"
	"  bool_or(sync_state IN ('sync', 'quorum')) AS synchronous,"
	"  max(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
	"   ELSE pg_current_wal_lsn() END, replay_lsn)) AS bytes,"
	"  max(extract(epoch FROM coalesce(replay_lag, '0'))) AS seconds"
	" FROM pg_stat_replication WHERE replay_lsn IS NOT NULL GROUP BY application_name)"
	"SELECT 'historiand_reading_from_standby', 'gauge',"
	" '1 while a standby answers the reads of historiand.', NULL, NULL,"
	" pg_is_in_recovery()::int::float8 "
	"UNION ALL SELECT 'historian_standby_required', 'gauge',"
	" '1 where commits wait for a standby (synchronous_standby_names).', NULL, NULL,"
	" (current_setting('synchronous_standby_names') <> '')::int"
	" WHERE pg_has_role('pg_monitor', 'USAGE') AND NOT pg_is_in_recovery() "
	"UNION ALL SELECT 'historian_standbys_synchronous', 'gauge',"
	" 'Standbys that are connected and that commits wait for.', NULL, NULL,"
	" (SELECT count(*) FROM standby WHERE synchronous)"
	" WHERE pg_has_role('pg_monitor', 'USAGE') AND NOT pg_is_in_recovery() "
	"UNION ALL SELECT 'historian_standby_lag_bytes', 'gauge',"
	" 'WAL that the standby has yet to replay.', 'standby', name, bytes FROM standby "
	"UNION ALL SELECT 'historian_standby_lag_seconds', 'gauge',"
	" 'Time until the standby had replayed the last WAL sent.', 'standby', name, seconds"
	" FROM standby",

	/* A partitioned table counts as one. */
	"WITH part AS ("
	" SELECT $1::text::regclass AS relid"
	" UNION SELECT relid FROM pg_partition_tree($1::text::regclass)),"
	"size AS ("
	" SELECT sum(total_bytes) AS total_bytes, sum(compacted_segments) AS compacted_segments,"
	"  sum(compacted_bytes) AS compacted_bytes, sum(compacted_rows) AS compacted_rows,"
	"  sum(pending_segments) AS pending_segments, sum(pending_bytes) AS pending_bytes,"
	"  sum(pending_rows) AS pending_rows, sum(pending_tags) AS pending_tags"
	" FROM historian.stat_tables WHERE relid IN (SELECT relid FROM part)),"
	"work AS ("
	" SELECT sum(merges) AS merges, sum(segments_merged) AS segments_merged,"
	"  sum(segments_written) AS segments_written, sum(bytes_merged) AS bytes_merged,"
	"  sum(bytes_written) AS bytes_written, sum(rows_written) AS rows_written,"
	"  sum(deferred) AS deferred, sum(failed) AS failed,"
	"  max(extract(epoch FROM last_merge)) AS last_merge"
	" FROM historian.stat_compaction WHERE relid IN (SELECT relid FROM part)),"
	"worker AS (SELECT preloaded AND enabled AS running, rounds"
	" FROM historian.stat_worker) "
	"SELECT 'historian_' || name, type, help, NULL, NULL, value::float8 FROM size, work, worker,"
	" LATERAL (VALUES"
	" ('table_bytes', 'gauge', 'All that the table occupies.', total_bytes),"
	" ('compacted_segments', 'gauge', 'Compacted segments, estimated.', compacted_segments),"
	" ('compacted_bytes', 'gauge', 'Bytes of compacted segments, estimated.', compacted_bytes),"
	" ('compacted_rows', 'gauge', 'Rows in compacted segments, estimated.', compacted_rows),"
	" ('pending_segments', 'gauge', 'Segments that wait for compaction.', pending_segments),"
	" ('pending_bytes', 'gauge', 'Bytes of segments that wait for compaction.', pending_bytes),"
	" ('pending_rows', 'gauge', 'Rows in segments that wait for compaction.', pending_rows),"
	" ('pending_tags', 'gauge', 'Tags with segments that wait for compaction.', pending_tags),"
	" ('compaction_enabled', 'gauge', '1 where compaction runs in the background.',"
	"  running::int),"
	" ('compaction_rounds_total', 'counter', 'Rounds of the launcher.', rounds),"
	" ('compaction_merges_total', 'counter', 'Merges, each of one tag.', merges),"
	" ('compaction_segments_merged_total', 'counter', 'Segments read and replaced.',"
	"  segments_merged),"
	" ('compaction_segments_written_total', 'counter', 'Segments written instead.',"
	"  segments_written),"
	" ('compaction_bytes_merged_total', 'counter', 'Bytes of the segments replaced.',"
	"  bytes_merged),"
	" ('compaction_bytes_written_total', 'counter', 'Bytes of the segments written.',"
	"  bytes_written),"
	" ('compaction_rows_written_total', 'counter', 'Rows of the segments written.',"
	"  rows_written),"
	" ('compaction_deferred_total', 'counter', 'Times that the table was left for the next round.',"
	"  deferred),"
	" ('compaction_failed_total', 'counter', 'Times that compaction met an error.', failed),"
	" ('compaction_last_merge_timestamp_seconds', 'gauge', 'When the last merge was done.',"
	"  last_merge)) AS m(name, type, help, value)"
	" WHERE value IS NOT NULL",

	"SELECT 'historian_tag_age_seconds', 'gauge',"
	" 'Age of the last message of a watched tag (--watch-tags); +Inf: there is none.',"
	" 'tag', w.tag,"
	" coalesce(extract(epoch FROM clock_timestamp())::float8 - l.time / 1e9, 'Infinity')"
	" FROM (SELECT DISTINCT unnest($2::text[]) AS tag) w"
	" LEFT JOIN historian.latest($1::text::regclass, $2::text[]) l USING (tag)",

	"WITH part AS ("
	" SELECT $1::text::regclass AS relid"
	" UNION SELECT relid FROM pg_partition_tree($1::text::regclass)),"
	"kept AS ("
	" SELECT count(*) AS policies, count(last_error) AS failing, sum(rows_removed) AS rows,"
	"  min(extract(epoch FROM last_run)) AS last_run"
	" FROM historian.stat_retention WHERE relid IN (SELECT relid FROM part)) "
	"SELECT 'historian_' || name, type, help, NULL, NULL, value::float8 FROM kept,"
	" LATERAL (VALUES"
	" ('retention_policies', 'gauge', 'Retention policies of the table.', policies),"
	" ('retention_failing', 'gauge', 'Retention policies whose last run met an error.', failing),"
	" ('retention_rows_removed_total', 'counter', 'Rows that retention has removed.', rows),"
	" ('retention_last_run_timestamp_seconds', 'gauge',"
	" 'When the policy that was kept the longest ago was kept.', last_run)) AS m(name, type, help, "
	"value)"
	" WHERE value IS NOT NULL",
};

typedef struct Part
{
	DatabaseMetrics *metrics;
	Bytes text; /* under the lock */
	bool asked; /* the query is under way */
	bool failing;
} Part;

struct DatabaseMetrics
{
	PgPool *pool;
	const char *table;
	char *tags; /* an array's text; NULL: none */
	uv_timer_t timer;
	uv_mutex_t lock;
	Part parts[PARTS];
};

static void on_timer(uv_timer_t *timer);
static void on_outcome(void *argument, const QueryOutcome *outcome);
static void append_rows(Bytes *text, const PGresult *rows);

DatabaseMetrics *
database_metrics_new(uv_loop_t *loop, const Config *config, PgPool *pool)
{
	DatabaseMetrics *metrics = memory_new(sizeof(DatabaseMetrics));

	metrics->pool = pool;
	metrics->table = config->table_sql;
	if (config->watch_tags[0] != '\0')
	{
		Bytes tags = {0};

		bytes_printf(&tags, "{%s}", config->watch_tags);
		metrics->tags = bytes_take_text(&tags);
	}
	for (int i = 0; i < PARTS; i++)
		metrics->parts[i].metrics = metrics;
	uv_mutex_init(&metrics->lock);
	uv_timer_init(loop, &metrics->timer);
	metrics->timer.data = metrics;
	uv_timer_start(&metrics->timer, on_timer, config->metrics_interval_ms,
				   config->metrics_interval_ms);
	return metrics;
}

static void
on_timer(uv_timer_t *timer)
{
	DatabaseMetrics *metrics = timer->data;
	const char *const parameters[] = {metrics->table, metrics->tags};
	static const int parameter_counts[PARTS] = {0, 1, 2, 1};

	for (int i = 0; i < PARTS; i++)
	{
		Part *part = &metrics->parts[i];

		if (part->asked || (parameter_counts[i] == 2 && metrics->tags == NULL))
			continue;
		/* If too many queries wait already, this one is left out until the next interval. */
		part->asked =
			pg_pool_submit(metrics->pool, &(QuerySource){0}, part_sql[i], parameter_counts[i],
						   parameters, NULL, on_outcome, part) != NULL;
	}
}

/* Replaces the last answer of a query, or removes it after a failure. */
static void
on_outcome(void *argument, const QueryOutcome *outcome)
{
	Part *part = argument;
	Bytes text = {0};
	Bytes old;

	part->asked = false;
	if (outcome->result != NULL)
		append_rows(&text, outcome->result);
	else if (!part->failing)
		log_warning("no metrics of PostgreSQL about %s: %s",
					part_names[part - part->metrics->parts], outcome->message);
	part->failing = outcome->result == NULL;

	uv_mutex_lock(&part->metrics->lock);
	old = part->text;
	part->text = text;
	uv_mutex_unlock(&part->metrics->lock);
	bytes_free(&old);
}

/* Appends an answer as Prometheus text. */
static void
append_rows(Bytes *text, const PGresult *rows)
{
	const char *last = "";

	for (int i = 0; i < PQntuples(rows); i++)
	{
		const char *name = PQgetvalue(rows, i, 0);
		const char *value = PQgetvalue(rows, i, 5);

		if (strcmp(name, last) != 0)
			bytes_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, PQgetvalue(rows, i, 2), name,
						 PQgetvalue(rows, i, 1));
		last = name;
		bytes_puts(text, name);
		if (!PQgetisnull(rows, i, 3))
		{
			bytes_printf(text, "{%s=\"", PQgetvalue(rows, i, 3));
			metrics_put_label(text, PQgetvalue(rows, i, 4));
			bytes_puts(text, "\"}");
		}
		bytes_printf(text, " %s\n", strcmp(value, "Infinity") == 0 ? "+Inf" : value);
	}
}

void
database_metrics_expose(DatabaseMetrics *metrics, Bytes *text)
{
	uv_mutex_lock(&metrics->lock);
	for (int i = 0; i < PARTS; i++)
	{
		if (metrics->parts[i].text.length > 0)
			bytes_append(text, metrics->parts[i].text.data, metrics->parts[i].text.length);
	}
	uv_mutex_unlock(&metrics->lock);
}
