/*
 * report.c
 *	  What the doctor has looked at: what is well, what is not and what cures it, what it could not see.
 */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
print(const char *mark, const char *what, const char *format, va_list args)
{
	printf("%-8s %-12s ", mark, what);
	vprintf(format, args);
	printf("\n");
}

void
report_good(Report *report, const char *what, const char *format, ...)
{
	va_list args;

	(void) report;
	va_start(args, format);
	print("ok", what, format, args);
	va_end(args);
}

void
report_finding(Report *report, const char *what, const char *cure, const char *format, ...)
{
	va_list args;

	report->findings++;
	va_start(args, format);
	print("FINDING", what, format, args);
	va_end(args);
	printf("%-8s %-12s cure: %s\n", "", "", cure);
}

void
report_unseen(Report *report, const char *what, const char *format, ...)
{
	va_list args;

	report->unseen++;
	va_start(args, format);
	print("not seen", what, format, args);
	va_end(args);
}

PGresult *
report_query(Report *report, const char *what, PGconn *connection, const char *sql, int count,
			 const char *const *parameters)
{
	PGresult *result = PQexecParams(connection, sql, count, NULL, parameters, NULL, NULL, 0);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	report_unseen(report, what, "%s%s", message != NULL ? message : PQerrorMessage(connection),
				  sqlstate != NULL && strcmp(sqlstate, "42501") == 0
					  ? " (a member of pg_monitor may see it)"
					  : "");
	PQclear(result);
	return NULL;
}
