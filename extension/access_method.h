/*
 * access_method.h
 *	  The table access method "historian".
 */
#ifndef HISTORIAN_ACCESS_METHOD_H
#define HISTORIAN_ACCESS_METHOD_H

#include "postgres.h"

#include "utils/rel.h"

/* Is this a table (or materialized view) that uses the access method? */
extern bool is_historian_table(Relation rel);

/* Opens the table for a function that only works on historian tables, or raises an error. */
extern Relation historian_table_open(Oid relid, LOCKMODE lockmode);

#endif							/* HISTORIAN_ACCESS_METHOD_H */
