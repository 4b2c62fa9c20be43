/*
 * doctor_table.c
 *	  What the doctor looks at in the table.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor_checks.h"

/* The leaves of the table, or the table itself; none for a parent without partitions. */
static const char table_sql[] =
	"WITH t AS (SELECT c.oid, c.relkind FROM pg_class c WHERE c.oid = to_regclass($1::text)),"
	" leaf AS (SELECT c.oid, c.relkind, a.amname FROM t, pg_class c LEFT JOIN pg_am a ON a.oid = "
	"c.relam"
	"  WHERE t.relkind <> 'p' AND c.oid = t.oid"
	"   OR t.relkind = 'p' AND c.oid IN (SELECT relid FROM pg_partition_tree(t.oid) WHERE isleaf))"
	" SELECT (SELECT relkind FROM t), (SELECT count(*) FROM leaf),"
	"  (SELECT string_agg(oid::regclass::text, ', ' ORDER BY oid::regclass::text) FROM leaf"
	"   WHERE relkind <> 'f' AND amname IS DISTINCT FROM 'historian'),"
	"  (SELECT count(*) FROM pg_attribute a, t WHERE a.attrelid = t.oid AND attnum > 0 AND NOT "
	"attisdropped"
	"   AND atttypid IN ('int8'::regtype, 'text'::regtype, 'float8[]'::regtype)),"
	"  (SELECT count(*) FROM pg_class c JOIN pg_am a ON a.oid = c.relam AND a.amname = "
	"'historian')";

bool
doctor_check_table(Report *report, PGconn *connection, const char *table)
{
	PGresult *result = report_query(report, "table", connection, table_sql, 1, &table);
	const char *kind;
	bool good = false;

	if (result == NULL)
		return false;
	kind = PQgetvalue(result, 0, 0);
	if (PQgetisnull(result, 0, 0))
		report_finding(
			report, "table",
			"CREATE TABLE ... (time bigint, tag text, values float8[]) USING historian; -t "
			"names another one",
			"there is no table \"%s\", and %s historian tables in the database", table,
			PQgetvalue(result, 0, 4));
	else if (strchr("rpm", kind[0]) == NULL)
		report_finding(report, "table", "give the table itself by -t", "\"%s\" is not a table",
					   table);
	else if (PQgetvalue(result, 0, 1)[0] == '0')
		report_finding(report, "table",
					   "CREATE TABLE ... PARTITION OF ... FOR VALUES ... USING historian",
					   "\"%s\" has no partition, so that no row can be loaded", table);
	else if (!PQgetisnull(result, 0, 2))
		report_finding(report, "table", "ALTER TABLE ... SET ACCESS METHOD historian",
					   "not of the access method historian: %s", PQgetvalue(result, 0, 2));
	else if (strcmp(PQgetvalue(result, 0, 3), "3") != 0)
		report_finding(report, "table", "make it with (time bigint, tag text, values float8[])",
					   "\"%s\" has other columns", table);
	else
	{
		report_good(report, "table", "%s, %s", table,
					kind[0] == 'p' ? "a parent of historian tables" : "a historian table");
		good = true;
	}
	PQclear(result);
	return good;
}

void
doctor_check_privileges(Report *report, PGconn *connection, const char *table)
{
	PGresult *result = report_query(report, "privileges", connection,
									"SELECT has_table_privilege(to_regclass($1::text), 'SELECT'),"
									" has_table_privilege(to_regclass($1::text), 'INSERT')",
									1, &table);
	bool may_read;
	bool may_write;

	if (result == NULL)
		return;
	may_read = PQgetvalue(result, 0, 0)[0] == 't';
	may_write = PQgetvalue(result, 0, 1)[0] == 't';
	if (may_read && may_write)
		report_good(report, "privileges", "%s may read and load", PQuser(connection));
	else
		report_finding(report, "privileges",
					   "GRANT SELECT, INSERT ON the table TO the role, or -U another role",
					   "%s may not %s", PQuser(connection),
					   may_read	   ? "load (INSERT)"
					   : may_write ? "read (SELECT)"
								   : "read (SELECT) nor load (INSERT)");
	PQclear(result);
}

void
doctor_check_backlog(Report *report, PGconn *connection, const char *table,
					 const DoctorLimits *limits)
{
	PGresult *result =
		report_query(report, "backlog", connection,
					 "SELECT coalesce(sum(pending_bytes), 0), coalesce(sum(pending_tags), 0),"
					 " coalesce(sum(pending_rows), 0) FROM historian.stat_tables WHERE relid = "
					 "to_regclass($1::text)"
					 " OR relid IN (SELECT relid FROM pg_partition_tree(to_regclass($1::text)))",
					 1, &table);
	double bytes;
	double tags;

	if (result == NULL)
		return;
	bytes = atof(PQgetvalue(result, 0, 0));
	tags = atof(PQgetvalue(result, 0, 1));
	if (bytes > (double) limits->backlog_bytes * (tags > 1 ? tags : 1))
		report_finding(
			report, "backlog",
			"wait, right after a large load; else SELECT historian.compact('...') does it at "
			"once, and historian.compaction_nice = 0 does it faster",
			"%s rows in %.1f MB wait for compaction, of %.0f tags", PQgetvalue(result, 0, 2),
			bytes / 1e6, tags);
	else
		report_good(report, "backlog", "%s rows in %.1f MB wait for compaction",
					PQgetvalue(result, 0, 2), bytes / 1e6);
	PQclear(result);
}

void
doctor_check_retention(Report *report, PGconn *connection, const char *table)
{
	PGresult *result =
		report_query(report, "retention", connection,
					 "SELECT count(*), string_agg(last_error, '; ') FROM historian.stat_retention"
					 " WHERE relid = to_regclass($1::text)"
					 " OR relid IN (SELECT relid FROM pg_partition_tree(to_regclass($1::text)))",
					 1, &table);

	if (result == NULL)
		return;
	if (!PQgetisnull(result, 0, 1))
		report_finding(report, "retention",
					   "mend what the error says; the worker tries again by itself",
					   "the last run has failed: %s", PQgetvalue(result, 0, 1));
	else
		report_good(report, "retention", "%s policies", PQgetvalue(result, 0, 0));
	PQclear(result);
}
