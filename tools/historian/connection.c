/*
 * connection.c
 *	  A connection to the database, and statements whose failure ends the program.
 */
#include "connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

/* Where neither the environment nor the conninfo string has a limit: nobody waits for minutes. */
#define CONNECT_TIMEOUT "10"

PGconn *
connection_try(const Arguments *arguments)
{
	/* What comes later wins, and the conninfo string counts from its place on. */
	const char *names[] = {
		"fallback_application_name", "connect_timeout", "dbname", "host", "port", "user", NULL};
	const char *values[] = {"historian",
							getenv("PGCONNECT_TIMEOUT") != NULL ? NULL : CONNECT_TIMEOUT,
							arguments->dbname,
							arguments->host,
							arguments->port,
							arguments->username,
							NULL};

	return PQconnectdbParams(names, values, 1);
}

static void
ignore_notice(void *argument, const PGresult *result)
{
	(void) argument;
	(void) result;
}

/* Prints the text without the line feeds at its end. */
static void
print_line(const char *before, const char *text)
{
	size_t length = strlen(text);

	while (length > 0 && text[length - 1] == '\n')
		length--;
	fprintf(stderr, "%s%.*s\n", before, (int) length, text);
}

PGconn *
connection_open(const Arguments *arguments)
{
	PGconn *connection = connection_try(arguments);

	if (PQstatus(connection) != CONNECTION_OK)
	{
		print_line("historian: ", PQerrorMessage(connection));
		if (arguments->dbname == NULL && arguments->host == NULL && getenv("PGHOST") == NULL &&
			getenv("PGSERVICE") == NULL)
			print_line("  hint: ", "-d or -h says where PostgreSQL is; for the one of make run, "
								   "in its checkout: -d \"$(make -s conninfo)\"");
		exit(EXIT_FAILED);
	}
	PQsetNoticeReceiver(connection, ignore_notice, NULL);
	PQclear(connection_query(connection,
							 "SELECT set_config('client_encoding', 'UTF8', false),"
							 " set_config('DateStyle', 'ISO', false)",
							 0, NULL));
	return connection;
}

void
connection_fail(PGconn *connection, const PGresult *result)
{
	const char *message =
		result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	print_line("historian: ", message != NULL ? message : PQerrorMessage(connection));
	if (detail != NULL)
		print_line("  detail: ", detail);
	if (hint != NULL)
		print_line("  hint: ", hint);
	exit(EXIT_FAILED);
}

void
connection_fail_with(const char *format, ...)
{
	va_list args;

	fputs("historian: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILED);
}

PGresult *
connection_query(PGconn *connection, const char *sql, int count, const char *const *parameters)
{
	PGresult *result = PQexecParams(connection, sql, count, NULL, parameters, NULL, NULL, 0);

	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
			return result;
		default:
			connection_fail(connection, result);
	}
}

void
connection_run(PGconn *connection, const char *sql)
{
	PQclear(connection_query(connection, sql, 0, NULL));
}
