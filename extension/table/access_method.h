/*
 * access_method.h
 *	  The table access method "historian".
 */
#ifndef HISTORIAN_ACCESS_METHOD_H
#define HISTORIAN_ACCESS_METHOD_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/rel.h"

/* Is this a table (or materialized view) that uses the access method? */
extern bool is_historian_table(Relation rel);

/*
 * Raises an error where the user has not these privileges on a table (ACL_*; ACL_NO_RIGHTS: that it is
 * the user's own).
 */
extern void historian_check_privileges(Oid relid, AclMode privileges);

/*
 * Opens a historian table for a function that needs these privileges on it, or raises an error.
 * Privileges are checked first: who has none must not take, or queue for, a lock.
 */
extern Relation historian_table_open(Oid relid, AclMode privileges, LOCKMODE lockmode);

/*
 * Raises the error for a SQL function of this name, "historian.delete()" say, that writes, on a
 * standby, in a read-only transaction and in a parallel worker.
 */
extern void historian_check_may_write(const char *function);

#endif							/* HISTORIAN_ACCESS_METHOD_H */
