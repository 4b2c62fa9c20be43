/*
 * sql_failure.h
 *	  The error of a statement that failed, and whether a row is to blame for it.
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
	char detail[256];	/* PostgreSQL's, which may say which row it is; "": there is none */
	char hint[256];		/* the same */
	bool of_constraint; /* the error names a constraint */
	int64_t row;		/* the row of a COPY that the error names, from 0; -1: it names none */
} SqlFailure;

/*
 * Notes the error of a result.  If one is noted already, it stays: the later ones follow from it.
 */
extern void sql_failure_note(SqlFailure *failure, const PGresult *result);

/* The same for an error that libpq or this program has found. */
extern void sql_failure_set(SqlFailure *failure, const char *sqlstate, const char *message);

static inline bool
sql_failure_is_set(const SqlFailure *failure)
{
	return failure->sqlstate[0] != '\0';
}

/*
 * Can a row be to blame for the error?  It can if the column cannot have the value (class 22), or
 * if the row breaks a constraint (class 23, and the error names the constraint).  Two errors of
 * these classes concern the table instead: 22P03 (the column does not take this binary format)
 * means that the column has changed; class 23 without a constraint's name means that there is no
 * partition for the row, or that another column must not be NULL.  All other errors concern the
 * table or the server.
 */
extern bool sql_failure_of_row(const SqlFailure *failure);

/*
 * Writes all that PostgreSQL has said about an error, and what an operator can do about it.  What the
 * detail says of a row's values beyond its partition key is left out.
 */
#define SQL_FAILURE_TEXT_BYTES 1280
extern void sql_failure_describe(const SqlFailure *failure, char text[SQL_FAILURE_TEXT_BYTES]);

/* What an operator can do about an error of the table or of its privileges, or NULL. */
extern const char *sql_failure_cure(const char *sqlstate);

#endif /* HISTORIAND_SQL_FAILURE_H */
