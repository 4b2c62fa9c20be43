/*
 * historian_table.h
 *	  Which tables are historian tables, and what a function must check before it uses one.
 */
#ifndef HISTORIAN_HISTORIAN_TABLE_H
#define HISTORIAN_HISTORIAN_TABLE_H

#include "postgres.h"

#include "access/tableam.h"
#include "nodes/parsenodes.h"
#include "utils/rel.h"

/* Tells the routine of the access method, by which its tables are known. */
extern void historian_table_set_routine(const TableAmRoutine *routine);

/* Is this a table (or materialized view) that uses the access method? */
extern bool historian_table_is(Relation rel);

/*
 * Raises an error where the user has not these privileges on a table (ACL_*; ACL_NO_RIGHTS: that it is
 * the user's own).
 */
extern void historian_table_check_privileges(Oid relid, AclMode privileges);

/*
 * Raises an error where row-level security is in force for the user.  SQL functions do not apply
 * policies; command is the one that does, "SELECT" say.
 */
extern void historian_table_check_policies(Relation rel, const char *command);

/*
 * Opens a historian table for a function that needs these privileges on it, or raises an error.
 * Privileges are checked first: a user without them must not take, or queue for, a lock.
 */
extern Relation historian_table_open(Oid relid, AclMode privileges, LOCKMODE lockmode);

/*
 * Raises the error for a SQL function of this name, "historian.delete()" say, that writes, on a
 * standby, in a read-only transaction and in a parallel worker.
 */
extern void historian_table_check_may_write(const char *function);

#endif							/* HISTORIAN_HISTORIAN_TABLE_H */
