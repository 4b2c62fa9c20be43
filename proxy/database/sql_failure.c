/*
 * sql_failure.c
 *	  The error of a statement that failed, and whether a row is to blame for it.
 */
#include "database/sql_failure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
sql_failure_set(SqlFailure *failure, const char *sqlstate, const char *message)
{
	if (sql_failure_is_set(failure))
		return;
	snprintf(failure->sqlstate, sizeof(failure->sqlstate), "%s", sqlstate);
	snprintf(failure->message, sizeof(failure->message), "%s", message);
	failure->of_constraint = false;
	failure->row = -1;
}

void
sql_failure_note(SqlFailure *failure, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	/* "COPY measurement, line 7": the server counts from 1. */
	const char *line = context != NULL ? strstr(context, ", line ") : NULL;

	if (sql_failure_is_set(failure))
		return;
	sql_failure_set(failure, sqlstate != NULL ? sqlstate : "08006",
					message != NULL ? message : PQresultErrorMessage(result));
	failure->of_constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) != NULL;
	failure->row = line != NULL ? strtoll(line + 7, NULL, 10) - 1 : -1;
}

bool
sql_failure_of_row(const SqlFailure *failure)
{
	if (strncmp(failure->sqlstate, "22", 2) == 0)
		return strcmp(failure->sqlstate, "22P03") != 0;
	return strncmp(failure->sqlstate, "23", 2) == 0 && failure->of_constraint;
}

const char *
sql_failure_cure(const char *sqlstate)
{
	static const struct
	{
		const char *sqlstate;
		const char *cure;
	} cures[] = {
		{"42P01", "CREATE TABLE ... (time bigint, tag text, values float8[]) USING historian makes "
				  "it, and --table names another one"},
		{"3F000", "CREATE SCHEMA makes it, and CREATE EXTENSION historian the schema historian"},
		{"42883", "ALTER EXTENSION historian UPDATE brings functions of newer versions"},
		{"42501", "GRANT it to the user by whom historiand connects"},
		{"23514", "rows wait until a partition takes them: CREATE TABLE ... PARTITION OF ... USING "
				  "historian"},
	};

	for (size_t i = 0; i < sizeof(cures) / sizeof(cures[0]); i++)
	{
		if (strcmp(cures[i].sqlstate, sqlstate) == 0)
			return cures[i].cure;
	}
	return NULL;
}
