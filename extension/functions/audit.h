/*
 * audit.h
 *	  The audit trail: who changed what is stored, as rows of historian.audit.
 */
#ifndef HISTORIAN_AUDIT_H
#define HISTORIAN_AUDIT_H

#include "postgres.h"

typedef struct AuditEntry
{
	const char *action;
	Oid			relid;			/* the table that was named */
	text	   *tag;			/* or a prefix; NULL: all tags */
	bool		has_range;
	int64		from;			/* the first and the last time, in nanoseconds */
	int64		until;
	int64		rows;			/* that changed; -1: that is not what the action is about */
	const char *detail;			/* NULL: there is none */
} AuditEntry;

/* For application names in the place of one: who asked historiand, for example. */
extern char *historian_actor;

/*
 * Adds a row in the name of the current user, and in its transaction.  Does nothing in a database
 * whose extension is older than the table.
 */
extern void audit_record(const AuditEntry *entry);

#endif							/* HISTORIAN_AUDIT_H */
