/*
 * columns.h
 *	  Finds the columns of a historian table that hold the time, the tag and the values.
 */
#ifndef HISTORIAN_COLUMNS_H
#define HISTORIAN_COLUMNS_H

#include "postgres.h"

#include "utils/rel.h"

#include "compat.h"

/* Attribute numbers, from 1. */
typedef struct HistorianColumns
{
	AttrNumber	time;			/* bigint */
	AttrNumber	tag;			/* text */
	AttrNumber	values;			/* double precision[] */
} HistorianColumns;

#define HISTORIAN_NCOLUMNS 3

/*
 * Finds the columns by their types: a historian table has exactly one bigint, one text and one
 * double precision[] column, in any order and under any names.  Returns false otherwise.
 * Partitioned parents and foreign tables, which store nothing, may have had others that were dropped.
 */
extern bool columns_find(Relation rel, HistorianColumns *columns);

/* As columns_find(), but raises columns_reject()'s error where that returns false. */
extern HistorianColumns columns_of(Relation rel);

/* Raises the error that says which columns a historian table has. */
pg_noreturn extern void columns_reject(const char *relation_name);

#endif							/* HISTORIAN_COLUMNS_H */
