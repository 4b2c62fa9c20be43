/*
 * target.h
 *	  The table that a command works with.
 */
#ifndef HISTORIAN_TARGET_H
#define HISTORIAN_TARGET_H

#include <libpq-fe.h>

/* The names are written as SQL needs them, with quotes where they have to be. */
typedef struct Target
{
	char *oid;
	char *name;
	char *time; /* the columns, which are known by their types */
	char *tag;
	char *values;
} Target;

/*
 * Finds the table, which must be a historian table or a partitioned parent.  If it is neither, ends
 * the program with what is wrong and what cures it.
 */
extern void target_open(Target *target, PGconn *connection, const char *name);

extern void target_close(Target *target);

#endif /* HISTORIAN_TARGET_H */
