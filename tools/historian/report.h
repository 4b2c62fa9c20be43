/*
 * report.h
 *	  What the doctor has looked at: what is well, what is not and what cures it, what it could not see.
 */
#ifndef HISTORIAN_REPORT_H
#define HISTORIAN_REPORT_H

#include <libpq-fe.h>

typedef struct Report
{
	int findings;
	int unseen;
} Report;

extern void report_good(Report *report, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Something is wrong; the cure is a command or a setting that helps. */
extern void report_finding(Report *report, const char *what, const char *cure, const char *format,
						   ...) __attribute__((format(printf, 4, 5)));

/* Something could not be looked at. */
extern void report_unseen(Report *report, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Executes a query whose parameters are texts.  If it fails, reports that what it asks for could not
 * be looked at, and returns NULL.
 */
extern PGresult *report_query(Report *report, const char *what, PGconn *connection, const char *sql,
							  int count, const char *const *parameters);

#endif /* HISTORIAN_REPORT_H */
