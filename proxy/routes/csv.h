/*
 * csv.h
 *	  CSV with a column for each value: RFC 4180, but with the line ends of COPY.
 */
#ifndef HISTORIAND_CSV_H
#define HISTORIAND_CSV_H

#include "base/memory.h"

#define CSV_CONTENT_TYPE "text/csv; charset=utf-8; header=present"

/* Appends a field, in quotes where it needs them. */
extern void csv_put_field(Bytes *out, const char *text);

/*
 * Appends a field for each of so many values, each after a comma, from PostgreSQL's text of a
 * float8[] that has at most so many; NULL: of an array that is NULL.  Values that are NULL or lack
 * are empty.
 */
extern void csv_put_values(Bytes *out, const char *array, int columns);

#endif /* HISTORIAND_CSV_H */
