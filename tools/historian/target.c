/*
 * target.c
 *	  The table that a command works with.
 */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "connection.h"

/* to_regclass() returns NULL for a table that is not there, but fails for what is no name. */
static const char find_sql[] =
	"SELECT c.oid, c.oid::regclass, c.relkind, a.amname,"
	" (SELECT string_agg(quote_ident(attname), '') FROM pg_attribute t WHERE t.attrelid = c.oid"
	"  AND attnum > 0 AND NOT attisdropped AND atttypid = 'int8'::regtype HAVING count(*) = 1),"
	" (SELECT string_agg(quote_ident(attname), '') FROM pg_attribute t WHERE t.attrelid = c.oid"
	"  AND attnum > 0 AND NOT attisdropped AND atttypid = 'text'::regtype HAVING count(*) = 1),"
	" (SELECT string_agg(quote_ident(attname), '') FROM pg_attribute t WHERE t.attrelid = c.oid"
	"  AND attnum > 0 AND NOT attisdropped AND atttypid = 'float8[]'::regtype HAVING count(*) = 1),"
	" (SELECT min(d.refobjid::regclass::text) FROM pg_rewrite w JOIN pg_depend d ON d.objid = w.oid"
	"  AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass"
	"  WHERE w.ev_class = c.oid AND c.relkind = 'v' AND d.refobjid <> c.oid)"
	" FROM pg_class c LEFT JOIN pg_am a ON a.oid = c.relam WHERE c.oid = to_regclass($1::text)";

void
target_open(Target *target, PGconn *connection, const char *name)
{
	PGresult *result = connection_query(connection, find_sql, 1, &name);
	char **const fields[] = {&target->oid,	&target->name, NULL,		   NULL,
							 &target->time, &target->tag,  &target->values};
	const char *kind;

	if (PQntuples(result) == 0)
		connection_fail_with(
			"there is no table \"%s\" in database \"%s\"\n"
			"  hint: CREATE TABLE %s (time bigint, tag text, values float8[]) USING "
			"historian makes it; -t names another one, -d another database",
			name, PQdb(connection), name);
	kind = PQgetvalue(result, 0, 2);
	if (kind[0] == 'v')
		connection_fail_with("\"%s\" is a view\n"
							 "  hint: -t takes the table that it reads%s%s",
							 name, PQgetisnull(result, 0, 7) ? "" : ": ", PQgetvalue(result, 0, 7));
	if (kind[0] != 'p' &&
		(strchr("rm", kind[0]) == NULL || strcmp(PQgetvalue(result, 0, 3), "historian") != 0))
		connection_fail_with(
			"\"%s\" is not a historian table\n"
			"  hint: ALTER TABLE %s SET ACCESS METHOD historian makes a table with the "
			"columns (time bigint, tag text, values float8[]) one",
			name, name);
	for (int i = 4; i < 7; i++)
	{
		if (PQgetisnull(result, 0, i))
			connection_fail_with(
				"table \"%s\" does not have one column each of the types bigint (the "
				"time), text (the tag) and float8[] (the values)",
				name);
	}
	for (int i = 0; i < 7; i++)
	{
		if (fields[i] != NULL)
			*fields[i] = memory_strdup(PQgetvalue(result, 0, i));
	}
	PQclear(result);
}

void
target_close(Target *target)
{
	free(target->oid);
	free(target->name);
	free(target->time);
	free(target->tag);
	free(target->values);
}
