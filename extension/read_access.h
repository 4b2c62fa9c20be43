/*
 * read_access.h
 *	  What SQL functions that read a historian table have in common.
 */
#ifndef HISTORIAN_READ_ACCESS_H
#define HISTORIAN_READ_ACCESS_H

#include "postgres.h"

#include "utils/rel.h"

/*
 * Opens a historian table that the user may SELECT from, and writes what this command has gathered
 * for it.  Raises an error where row-level security is in force, which a function cannot apply.
 */
extern Relation read_access_open(Oid relid);

#endif							/* HISTORIAN_READ_ACCESS_H */
