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
	failure->detail[0] = failure->hint[0] = '\0';
	failure->of_constraint = false;
	failure->row = -1;
}

static void
note_field(char *to, size_t size, const PGresult *result, int code)
{
	const char *text = PQresultErrorField(result, code);

	snprintf(to, size, "%s", text != NULL ? text : "");
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
	note_field(failure->detail, sizeof(failure->detail), result, PG_DIAG_MESSAGE_DETAIL);
	note_field(failure->hint, sizeof(failure->hint), result, PG_DIAG_MESSAGE_HINT);
	failure->of_constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) != NULL;
	failure->row = line != NULL ? strtoll(line + 7, NULL, 10) - 1 : -1;
}

void
sql_failure_describe(const SqlFailure *failure, char text[SQL_FAILURE_TEXT_BYTES])
{
	const char *cure = sql_failure_cure(failure->sqlstate);
	/* "Failing row contains (..)" has values, which are not for the log nor for everybody. */
	bool has_values =
		strncmp(failure->sqlstate, "23", 2) == 0 && strcmp(failure->sqlstate, "23514") != 0;
	const char *const parts[] = {has_values ? "" : failure->detail, failure->hint,
								 cure != NULL ? cure : ""};
	size_t used = (size_t) snprintf(text, SQL_FAILURE_TEXT_BYTES, "%s (SQLSTATE %s)",
									failure->message, failure->sqlstate);

	for (int i = 0; i < 3; i++)
	{
		if (parts[i][0] != '\0' && used < SQL_FAILURE_TEXT_BYTES)
			used += (size_t) snprintf(text + used, SQL_FAILURE_TEXT_BYTES - used, "; %s", parts[i]);
	}
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
		{"23514", "rows wait until a partition takes them: CREATE TABLE ... PARTITION OF ... FOR "
				  "VALUES ... (or DEFAULT) USING historian"},
	};

	for (size_t i = 0; i < sizeof(cures) / sizeof(cures[0]); i++)
	{
		if (strcmp(cures[i].sqlstate, sqlstate) == 0)
			return cures[i].cure;
	}
	return NULL;
}
