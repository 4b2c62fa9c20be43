/*
 * sql_failure.h
 *	  What PostgreSQL said when a statement failed, and whose fault that is.
 */
#ifndef HISTORIAND_SQL_FAILURE_H
#define HISTORIAND_SQL_FAILURE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct SqlFailure
{
	char sqlstate[6]; /* "": nothing failed */
	char message[512];
	bool of_constraint; /* the error names a constraint */
	int64_t row;		/* of a COPY, which one the error names, from 0; -1: none */
} SqlFailure;

/* Notes an error's result.  The first error stays: those after it follow from it. */
extern void sql_failure_note(SqlFailure *failure, const PGresult *result);

/* The same for what libpq or this program found. */
extern void sql_failure_set(SqlFailure *failure, const char *sqlstate, const char *message);

static inline bool
sql_failed(const SqlFailure *failure)
{
	return failure->sqlstate[0] != '\0';
}

/*
 * Can it be a row's fault?  Only a value that the column cannot have (class 22), or a row that breaks
 * a constraint (class 23, and the error names it).  22P03, a binary format that the column does not
 * take, means that the column has changed; class 23 without a constraint's name that there is no
 * partition, or that a column which nobody fills must not be NULL.  All else is the table's or the server's.
 */
extern bool sql_failure_of_row(const SqlFailure *failure);

#endif /* HISTORIAND_SQL_FAILURE_H */
