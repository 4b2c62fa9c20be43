/*
 * value_names.h
 *	  Names of values: fields of line protocol get their places by them, columns of CSV keep them.
 */
#ifndef HISTORIAN_VALUE_NAMES_H
#define HISTORIAN_VALUE_NAMES_H

#include <libpq-fe.h>

#include "ingest/field_places.h"
#include "row_batch.h"
#include "target.h"

/*
 * Asks PostgreSQL for the places of fields until all points of the batch have theirs.  PostgreSQL
 * keeps places in a transaction of their own, which must be before that of the rows.  Points that do
 * not fit a row then are rejected.
 */
extern void value_names_place(FieldPlaces *places, PGconn *connection, const Target *target,
							  RowBatch *batch);

/* Keeps names, an array as PostgreSQL reads it, for those tags of the batch that have none. */
extern void value_names_keep(PGconn *connection, const Target *target, const RowBatch *batch,
							 const char *names);

/* Appends a text to an array as PostgreSQL reads it; *array is empty at first. */
extern void value_names_put(Bytes *array, const char *text, size_t length);
/* Ends the array, and returns it as a text. */
extern const char *value_names_end(Bytes *array);

#endif /* HISTORIAN_VALUE_NAMES_H */
