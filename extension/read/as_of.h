/*
 * as_of.h
 *	  Finds the last row of a tag at or before a time, for ascending times.
 */
#ifndef HISTORIAN_AS_OF_H
#define HISTORIAN_AS_OF_H

#include "postgres.h"

#include "read/leaves.h"

typedef struct AsOfReader AsOfReader;

/* The leaves' cursors must outlive the reader; memory is of the current context. */
extern AsOfReader *as_of_begin(const Leaves *leaves);
extern void as_of_end(AsOfReader *reader);

/* Starts with a tag.  The caller will not seek a time greater than until. */
extern void as_of_start(AsOfReader *reader, text *tag, int64 until);

/*
 * Moves to the last row at or before time, which must not be less than in the call before.  Returns
 * false if there is none.  Sets *changed if it is another row than before.
 */
extern bool as_of_seek(AsOfReader *reader, int64 time, bool *changed);

/* The time and the values (palloc'd float8[]) of the row moved to. */
extern int64 as_of_time(const AsOfReader *reader);
extern Datum as_of_values(const AsOfReader *reader, bool *isnull);

#endif							/* HISTORIAN_AS_OF_H */
