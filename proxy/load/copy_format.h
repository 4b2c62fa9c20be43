/*
 * copy_format.h
 *	  PostgreSQL's COPY BINARY format for rows (time bigint, tag text, values float8[]).
 */
#ifndef HISTORIAND_COPY_FORMAT_H
#define HISTORIAND_COPY_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define COPY_HEADER_BYTES	   19
#define COPY_TRAILER_BYTES	   2
#define COPY_BUNDLE_HEAD_BYTES 14

extern void copy_format_header(char *out);
extern void copy_format_trailer(char *out);

/* The most bytes that a row takes (nulls take less). */
extern size_t copy_format_row_bytes(uint32_t value_count, uint32_t tag_length);

/* Writes a row, whose values may be the NULL of stages, and returns the place after it. */
extern char *copy_format_row(char *out, int64_t time_ns, const double *values, uint32_t value_count,
							 const char *tag, uint32_t tag_length);

/* Writes what precedes the bytes of a bundle in a row of historian.bundle, and returns the place after it. */
extern char *copy_format_bundle_head(char *out, uint32_t table, uint32_t bundle_bytes);

#endif /* HISTORIAND_COPY_FORMAT_H */
