/*
 * table_check.c
 *	  Checks whether PostgreSQL would take messages into the table.
 *
 * EXPLAIN of an INSERT finds out without writing: the parser checks the table and its columns, and
 * the start of the executor checks privileges.  The catalog tells the rest: COPY BINARY needs the
 * exact types, without a cast, and reads need historian tables.  A partition that is missing for
 * some times, or a trigger that refuses rows, is found only by a load.
 *
 * Each reason comes with its cure.
 */
#include "load/table_check.h"

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"
#include "database/pg_connection.h"
#include "database/sql_failure.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD_INTERVAL_MS 5000
#define TIMEOUT_MS		 5000 /* in PostgreSQL, for a table that is locked */
#define GIVE_UP_MS		 10000
#define MAX_REASON_BYTES 768
#define MAX_KEPT_BYTES	 128

/*
 * Clients get PostgreSQL's own words, but not those about connections, which name hosts and users.
 */
#define UNREACHABLE "PostgreSQL cannot be reached"
#define UNKNOWN		"it is not known yet whether PostgreSQL has the table"

struct TableCheck
{
	uv_loop_t *loop;
	const Config *config;
	FieldPlaces *places;
	char *sql;
	PgConnection *connection; /* NULL: there is none */
	Backoff retry;			  /* used while anything is wrong */
	bool asking;
	bool locked; /* the table was locked, so that the check has found nothing */
	uv_timer_t timer;
	char found[MAX_REASON_BYTES]; /* what is wrong by the current check; "": nothing so far */
	char kept[MAX_KEPT_BYTES];	  /* what tells that places are kept as before; "": not asked yet */

	pthread_mutex_t lock; /* guards what follows */
	bool concluded;		  /* a check has ended */
	char reason[MAX_REASON_BYTES];
};

static void put_check_sql(Bytes *sql, const Config *config);
static void put_kept_sql(Bytes *sql, const Config *config);
static void take_kept(TableCheck *check, const PGresult *result);
static void ask(TableCheck *check);
static void conclude(TableCheck *check, const char *reason);
static void on_timer(uv_timer_t *timer);
static void on_open(void *owner);
static void on_input(void *owner);
static void on_lost(void *owner, const char *reason);

static const PgHandler handler = {on_open, on_input, on_lost};

TableCheck *
table_check_new(uv_loop_t *loop, const Config *config, FieldPlaces *places)
{
	TableCheck *check = memory_new(sizeof(TableCheck));
	Bytes sql = {0};

	check->loop = loop;
	check->config = config;
	check->places = places;
	check->retry = (Backoff){.first_ms = 250, .largest_ms = 2000};
	put_check_sql(&sql, config);
	put_kept_sql(&sql, config);
	check->sql = bytes_take_text(&sql);
	strcpy(check->reason, UNKNOWN);
	pthread_mutex_init(&check->lock, NULL);
	uv_timer_init(loop, &check->timer);
	check->timer.data = check;
	ask(check);
	return check;
}

bool
table_check_good(TableCheck *check, char *why, size_t size)
{
	pthread_mutex_lock(&check->lock);
	snprintf(why, size, "%s", check->reason);
	pthread_mutex_unlock(&check->lock);
	return why[0] == '\0';
}

bool
table_check_starting(TableCheck *check)
{
	bool concluded;

	pthread_mutex_lock(&check->lock);
	concluded = check->concluded;
	pthread_mutex_unlock(&check->lock);
	return !concluded;
}

/*
 * Appends the statements of the check.  They are sent as one string, which is one transaction, so
 * that the setting ends with them.
 */
static void
put_check_sql(Bytes *sql, const Config *config)
{
	bytes_printf(sql, "SET LOCAL statement_timeout = %d; ", TIMEOUT_MS);
	bytes_puts(sql, "WITH RECURSIVE t AS (SELECT ");
	pg_put_literal(sql, config->table_sql);
	bytes_puts(
		sql,
		"::pg_catalog.regclass AS oid), "
		"wanted (name, type) AS (VALUES ('time', 'bigint'), ('tag', 'text'), ('values', "
		"'double precision[]')), "
		/*
		 * Not by pg_partition_tree(), which locks the partitions: EXPLAIN locks their parent later, so
		 * that a DROP of the parent in between would be a deadlock.
		 */
		"tree AS (SELECT c.oid, c.relkind, c.relam FROM t JOIN pg_catalog.pg_class c ON c.oid = "
		"t.oid UNION ALL SELECT c.oid, c.relkind, c.relam FROM tree JOIN pg_catalog.pg_inherits i "
		"ON i.inhparent = tree.oid JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid "
		"WHERE tree.relkind = 'p'), "
		/* reads need historian tables; the tests may stand in for the extension */
		"part AS (SELECT c.oid, c.relkind, c.oid <> t.oid AS is_leaf FROM t CROSS JOIN tree c "
		"LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam "
		"WHERE m.amname IS DISTINCT FROM 'historian' AND c.relkind NOT IN ('p', 'f') "
		"AND EXISTS (SELECT FROM pg_catalog.pg_am WHERE amname = 'historian')) "
		"SELECT pg_catalog.format('%s is a %s; --table must name a historian table, or a "
		"partitioned "
		"parent of such tables%s', t.oid, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN "
		"'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'relation of another kind' END, "
		"(SELECT ', such as ' || pg_catalog.min(d.refobjid::pg_catalog.regclass::text) FROM "
		"pg_catalog.pg_rewrite w JOIN pg_catalog.pg_depend d ON d.objid = w.oid "
		"AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass "
		"AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass WHERE w.ev_class = t.oid "
		"AND c.relkind = 'v' AND d.refobjid <> t.oid)) AS reason FROM t JOIN pg_catalog.pg_class c "
		"ON c.oid = t.oid WHERE c.relkind NOT IN ('r', "
		"'p') "
		"UNION ALL SELECT pg_catalog.format('partitioned table %s has no partition; CREATE TABLE "
		"... "
		"PARTITION OF %s ... USING historian makes one', t.oid, t.oid) "
		"FROM t JOIN pg_catalog.pg_class c ON c.oid = t.oid WHERE c.relkind = 'p' AND NOT EXISTS "
		"(SELECT FROM tree WHERE relkind <> 'p') "
		"UNION ALL SELECT CASE WHEN a.attname IS NULL "
		"THEN pg_catalog.format('table %s has no column \"%s\" (it needs time bigint, tag text, "
		"values "
		"double precision[])', t.oid, wanted.name) "
		"ELSE pg_catalog.format('column \"%s\" of table %s has the type %s, not %s', wanted.name, "
		"t.oid, "
		"pg_catalog.format_type(a.atttypid, a.atttypmod), wanted.type) END "
		"FROM t CROSS JOIN wanted LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid "
		"AND a.attname = wanted.name AND a.attnum > 0 AND NOT a.attisdropped "
		"LEFT JOIN pg_catalog.pg_type y ON y.oid = a.atttypid "
		"WHERE a.attname IS NULL OR (y.typtype <> 'd' AND NOT CASE wanted.name "
		"WHEN 'time' THEN y.oid = 'pg_catalog.int8'::pg_catalog.regtype "
		"WHEN 'tag' THEN y.typcategory = 'S' "
		"ELSE y.oid = 'pg_catalog.float8[]'::pg_catalog.regtype END) "
		"UNION ALL SELECT pg_catalog.format('column \"%s\" of table %s must not be null and has no "
		"default', a.attname, t.oid) FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid "
		"WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef "
		"AND a.attidentity = '' AND a.attname NOT IN (SELECT name FROM wanted) "
		"UNION ALL SELECT pg_catalog.format('%s %s is not a historian table, so that reads fail; "
		"ALTER "
		"TABLE %s SET ACCESS METHOD historian makes it one', CASE WHEN is_leaf THEN 'partition' "
		"ELSE "
		"'table' END, oid::pg_catalog.regclass, oid::pg_catalog.regclass) FROM part "
		"UNION ALL SELECT 'PostgreSQL is read only there' "
		"WHERE pg_catalog.current_setting('transaction_read_only') = 'on'; ");
	bytes_printf(sql, "EXPLAIN INSERT INTO %s (time, tag, values) VALUES (0, '', '{}')",
				 config->table_sql);
}

/*
 * Appends the question whether places of fields may have become others: where the table or
 * historian.tag is another, rows of the latter were deleted (PostgreSQL's statistics know that some
 * seconds later), or another server has been promoted, which may lack the last ones.
 */
static void
put_kept_sql(Bytes *sql, const Config *config)
{
	bytes_puts(sql, "; SELECT pg_catalog.concat_ws(' ', ");
	pg_put_literal(sql, config->table_sql);
	bytes_puts(sql, "::pg_catalog.regclass::pg_catalog.oid, "
					"CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.left("
					"pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) END, "
					/* not by to_regclass(), which needs the privilege USAGE on the schema */
					"(SELECT pg_catalog.concat_ws(' ', pg_catalog.pg_relation_filenode(c.oid), "
					"pg_catalog.pg_stat_get_tuples_deleted(c.oid)) FROM pg_catalog.pg_class c "
					"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
					"WHERE n.nspname = 'historian' AND c.relname = 'tag')) AS kept");
}

/* Forgets the places of fields if the answer is another one than before. */
static void
take_kept(TableCheck *check, const PGresult *result)
{
	const char *kept;

	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 ||
		PQfnumber(result, "kept") != 0)
		return;
	kept = PQgetvalue(result, 0, 0);
	if (check->kept[0] != '\0' && strcmp(check->kept, kept) != 0)
	{
		log_info("places of fields are asked for again, because they may have become others");
		field_places_forget(check->places);
	}
	snprintf(check->kept, sizeof(check->kept), "%s", kept);
}

/* Sets why to PostgreSQL's error and to what can be done about it. */
static void
put_error(const PGresult *result, char *why, size_t size)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *cure = sqlstate != NULL ? sql_failure_cure(sqlstate) : NULL;

	if (cure == NULL)
		cure = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	snprintf(why, size, "%s%s%s", message ? message : UNREACHABLE, cure != NULL ? "; " : "",
			 cure != NULL ? cure : "");
}

/* Sets why to what a result of a check shows to be wrong, unless it is set already. */
static void
take_result(const PGresult *result, char *why, size_t size)
{
	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
			break;
		case PGRES_TUPLES_OK:
			/* A row need not have columns: the function is called for its privileges alone. */
			if (PQntuples(result) > 0 && PQfnumber(result, "reason") == 0 && why[0] == '\0')
				snprintf(why, size, "%s", PQgetvalue(result, 0, 0));
			break;
		default:
			if (why[0] == '\0')
				put_error(result, why, size);
			break;
	}
}

static void
ask(TableCheck *check)
{
	check->found[0] = '\0';
	check->locked = false;
	check->asking = true;
	uv_timer_start(&check->timer, on_timer, GIVE_UP_MS, 0);
	if (check->connection == NULL)
		check->connection =
			pg_connection_open(check->loop, check->config->database, "",
							   check->config->database_password_file, &handler, check);
	else
		on_open(check);
}

static void
on_open(void *owner)
{
	TableCheck *check = owner;
	bool all;

	/* If sending fails the connection is broken and on_lost() follows. */
	PQsendQuery(pg_connection_pq(check->connection), check->sql);
	pg_connection_flush(check->connection, &all);
}

/* Takes the results of a check, and ends it after the last one. */
static void
on_input(void *owner)
{
	TableCheck *check = owner;
	PGconn *pq = pg_connection_pq(check->connection);
	PGresult *result;

	while (check->asking && !PQisBusy(pq))
	{
		const char *sqlstate;

		result = PQgetResult(pq);
		if (result == NULL)
		{
			conclude(check, check->locked ? NULL : check->found);
			return;
		}
		sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		check->locked |= sqlstate != NULL && strcmp(sqlstate, "57014") == 0;
		take_result(result, check->found, sizeof(check->found));
		take_kept(check, result);
		PQclear(result);
	}
}

static void
on_lost(void *owner, const char *reason)
{
	TableCheck *check = owner;

	(void) reason; /* the copy writer, which connects to the same server, logs it */
	check->connection = NULL;
	conclude(check, UNREACHABLE);
}

/* Begins with the next check, or gives up the current one, which has taken too long. */
static void
on_timer(uv_timer_t *timer)
{
	TableCheck *check = timer->data;

	if (!check->asking)
	{
		ask(check);
		return;
	}
	pg_connection_close(check->connection);
	check->connection = NULL;
	conclude(check, "PostgreSQL does not answer");
}

/*
 * Ends a check.  reason is what is wrong, "" if nothing is, or NULL if the check has found nothing.
 */
static void
conclude(TableCheck *check, const char *reason)
{
	bool changed;
	bool good;

	check->asking = false;
	pthread_mutex_lock(&check->lock);
	check->concluded = true;
	changed = reason != NULL && strcmp(check->reason, reason) != 0;
	if (changed)
		snprintf(check->reason, sizeof(check->reason), "%s", reason);
	good = check->reason[0] == '\0';
	pthread_mutex_unlock(&check->lock);
	if (changed && good)
		log_info("PostgreSQL takes messages into the table %s", check->config->table);
	else if (changed)
		log_warning("PostgreSQL would not take messages into the table %s: %s",
					check->config->table, reason);
	/* A new connection may choose another one of several hosts. */
	if (!good && check->connection != NULL)
	{
		pg_connection_close(check->connection);
		check->connection = NULL;
	}
	if (good)
		backoff_reset(&check->retry);
	uv_timer_start(&check->timer, on_timer,
				   good ? GOOD_INTERVAL_MS : backoff_next_ms(&check->retry), 0);
}

/*
 * --check-config
 */

/* Executes a check on a connection of its own, and logs what is wrong. */
static bool
try_now(const char *setting, const char *conninfo, const Config *config, const char *sql)
{
	char *failure = NULL;
	char why[MAX_REASON_BYTES] = "";
	PGconn *pq = pg_connect_now(conninfo, "", config->database_password_file, &failure);
	PGresult *result;

	if (pq == NULL)
	{
		log_error("%s: cannot connect to PostgreSQL: %s", setting, failure);
		free(failure);
		return false;
	}
	if (!PQsendQuery(pq, sql))
		snprintf(why, sizeof(why), "%s", PQerrorMessage(pq));
	while ((result = PQgetResult(pq)) != NULL)
	{
		take_result(result, why, sizeof(why));
		PQclear(result);
	}
	PQfinish(pq);
	if (why[0] != '\0')
		log_error("%s: %s", setting, why);
	return why[0] == '\0';
}

bool
table_check_now(const Config *config)
{
	Bytes writes = {0};
	Bytes reads = {0};
	bool good;

	put_check_sql(&writes, config);
	bytes_printf(&reads, "SET LOCAL statement_timeout = %d; ", TIMEOUT_MS);
	bytes_printf(&reads,
				 "EXPLAIN SELECT time, tag, values FROM %s; SELECT FROM historian.downsample(",
				 config->table_sql);
	pg_put_literal(&reads, config->table_sql);
	bytes_puts(&reads, "::regclass, 'x', 0, 1, 1)");
	/* Both are tried, so that the operator sees both errors at once. */
	good = try_now("table", config->database, config, bytes_text(&writes));
	good &= try_now("table, for reads", config->read_database, config, bytes_text(&reads));
	bytes_free(&writes);
	bytes_free(&reads);
	return good;
}
