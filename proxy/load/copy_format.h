/*
 * copy_format.h
 *	  PostgreSQL's COPY BINARY format for rows (time bigint, tag text, values float8[]).
 */
#ifndef HISTORIAND_COPY_FORMAT_H
#define HISTORIAND_COPY_FORMAT_H

#include "ingest/batch.h"

#define COPY_HEADER_BYTES  19
#define COPY_TRAILER_BYTES 2

extern void copy_format_header(char *out);
extern void copy_format_trailer(char *out);

/* The most bytes that a row takes (nulls take less). */
extern size_t copy_format_row_bytes(const BatchRow *row, uint32_t tag_length);

/* Writes a row and returns the place after it. */
extern char *copy_format_row(char *out, const BatchRow *row, const char *tag, uint32_t tag_length);

#endif /* HISTORIAND_COPY_FORMAT_H */
