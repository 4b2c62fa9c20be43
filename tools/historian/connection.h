/*
 * connection.h
 *	  A connection to the database, and statements whose failure ends the program.
 */
#ifndef HISTORIAN_CONNECTION_H
#define HISTORIAN_CONNECTION_H

#include <libpq-fe.h>

#include "arguments.h"

/* Connects as the arguments and the environment say.  It must be checked whether that succeeded. */
extern PGconn *connection_try(const Arguments *arguments);

/* Connects, or ends the program with exit code 1 and libpq's message. */
extern PGconn *connection_open(const Arguments *arguments);

/*
 * Executes a statement whose parameters are texts.  If it fails, ends the program with exit code 1
 * and PostgreSQL's message, detail and hint.
 */
extern PGresult *connection_query(PGconn *connection, const char *sql, int count,
								  const char *const *parameters);
/* The same for a statement without parameters, whose result does not matter. */
extern void connection_run(PGconn *connection, const char *sql);

/* Prints the error of a result, or of the connection, and ends the program with exit code 1. */
extern void connection_fail(PGconn *connection, const PGresult *result) __attribute__((noreturn));

/* Prints what has failed, and ends the program with exit code 1. */
extern void connection_fail_with(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

#endif /* HISTORIAN_CONNECTION_H */
