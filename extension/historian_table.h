/*
 * historian_table.h
 *	  Which tables are historian tables, and what a SQL function must check before it uses one;
 *	  and refusals that several files raise.
 */
#ifndef HISTORIAN_HISTORIAN_TABLE_H
#define HISTORIAN_HISTORIAN_TABLE_H

#include "postgres.h"

#include "access/tableam.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "compat.h"

/* Sets the access method's routine, by which historian_table_is() knows its tables. */
extern void historian_table_set_routine(const TableAmRoutine *routine);

/* Is this a table (or materialized view) that uses the access method? */
extern bool historian_table_is(Relation rel);

/*
 * Raises an error if the user lacks these privileges (ACL_*) on a table.  ACL_NO_RIGHTS demands
 * that the user owns the table.
 */
extern void historian_table_check_privileges(Oid relid, AclMode privileges);

/*
 * Raises an error if row-level security is in force for the user, because SQL functions do not
 * apply policies.  command names the one that does, for example "SELECT".
 */
extern void historian_table_check_policies(Relation rel, const char *command);

/*
 * Opens a table or parent that was named by its OID, and so may have been dropped before its lock was
 * granted, or never have been there: a superuser has all privileges on that.
 */
extern Relation historian_table_open_any(Oid relid, LOCKMODE lockmode);

/* Raises the error that there is no such relation. */
pg_noreturn extern void historian_table_report_missing(Oid relid);

/*
 * Opens a historian table for a function that needs these privileges on it, or raises an error.
 * Privileges are checked first, because a user without them must not take a lock or queue for one.
 */
extern Relation historian_table_open(Oid relid, AclMode privileges, LOCKMODE lockmode);

/*
 * Can the rows of a table be read by this server at this time?  On a standby there are none of unlogged
 * tables, not even files, and PostgreSQL's planner, which refuses these, does not see what SQL functions read.
 */
extern bool historian_table_is_readable(Relation rel);

/* Raises an error if they cannot.  historian_table_open() and historian_table_open_leaves() call it. */
extern void historian_table_check_readable(Relation rel);

/*
 * Does what historian_table_open() does, for a function that takes a partitioned parent too: returns the table
 * in a list or, of a parent, all leaves.  They must be historian tables or, with_foreign, foreign tables of such
 * columns.  Privileges are those on the relation named, as in SQL.  The error about row-level
 * security names command; NULL skips that check.
 */
extern List *historian_table_open_leaves(Oid relid, AclMode privileges, LOCKMODE lockmode,
										 const char *command, bool with_foreign);

/* Closes them, and keeps their locks. */
extern void historian_table_close_leaves(List *tables);

/* Raises the error for a partition that is not a historian table. */
pg_noreturn extern void historian_table_refuse_leaf(Relation leaf, const char *parent_name);

/*
 * Raises an error on a standby, in a read-only transaction and in a parallel worker, in the name of
 * a SQL function that writes, for example "historian.delete()".
 */
extern void historian_table_check_may_write(const char *function);

/* Raise the errors for an index, and for a trigger or foreign key that needs each row. */
pg_noreturn extern void historian_table_refuse_index(const char *table_name);
pg_noreturn extern void historian_table_refuse_row_trigger(const char *table_name);

#endif							/* HISTORIAN_HISTORIAN_TABLE_H */
