/*
 * codec.h
 *	  Compression of a run of rows (time, values) of one tag: the public contract.
 *
 * Pure C: nothing here knows PostgreSQL.  A *block* is the bytes of one run; it starts at any
 * alignment, is little-endian whatever the machine, and describes itself except for its length
 * and its number of rows, which the caller keeps (the segment header has both).
 *
 * Losslessness: every int64 time and every double comes back bit for bit (NaN payloads, -0.0,
 * subnormals included), and so do the rows' widths and the NULL elements.
 *
 * Safety: codec_open() validates every length and offset of the block, and the width of every row,
 * so that no later call on the same reader reads outside of the block, or tells of more values than
 * codec_nvalues(), whatever the bytes are.  Numbers may then be wrong if the bytes are: a double is
 * any double, a time is any time, and times need not ascend.  A checksum is the caller's business,
 * and so is a bound for times.
 */
#ifndef HISTORIAN_CODEC_H
#define HISTORIAN_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most rows that one block takes. */
#define CODEC_MAX_ROWS 4096

/* The most values that one row has. */
#define CODEC_MAX_VALUES 1000

/*
 * A block of one row takes at most so many bytes, 8 a value and, where an element is NULL, a bit a
 * value.
 */
#define CODEC_ROW_OVERHEAD 14

/* Width of a row whose array itself is NULL (an empty array has width 0). */
#define CODEC_WIDTH_NULL UINT16_MAX

/*
 * Rows to encode.  Value v of row r stands at values[r * row_stride + v * value_stride], so that
 * row-major and column-major sources both work.
 */
typedef struct CodecRows
{
	uint32_t	nrows;			/* 1 .. CODEC_MAX_ROWS */
	uint32_t	nvalues;		/* the widest row's width, 0 .. CODEC_MAX_VALUES */
	const int64_t *time;		/* [nrows], strictly ascending */
	const double *values;
	size_t		row_stride;		/* in elements */
	size_t		value_stride;	/* in elements */
	const uint16_t *width;		/* [nrows] or NULL: every row has nvalues values */
	const uint8_t *isnull;		/* strides as values, nonzero = NULL element; NULL: none is */
} CodecRows;

/* Scratch memory, some 400 kB and 8 bytes a value; one for each thread. */
typedef struct CodecEncoder CodecEncoder;

/* Returns NULL when memory is short.  The caller frees with codec_encoder_free(). */
extern CodecEncoder *codec_encoder_new(void);
extern void codec_encoder_free(CodecEncoder *encoder);

/*
 * Encodes rows into dst.  Returns the number of bytes written, or 0 when they do not fit into
 * capacity (dst is then unchanged) or memory is short.  The same rows give the same bytes, whatever
 * the encoder did before.
 */
extern size_t codec_encode(CodecEncoder *encoder, const CodecRows *rows,
						   uint8_t *dst, size_t capacity);

/*
 * Encodes as many of the first rows as fit into capacity: *nrows_taken (at least 1 on success).
 * Fills capacity to 99%, or to within a row, where there are rows enough and each takes about the
 * same.  Returns the bytes written, or 0 when not even one row fits or memory is short.
 */
extern size_t codec_encode_fit(CodecEncoder *encoder, const CodecRows *rows,
							   uint8_t *dst, size_t capacity, uint32_t *nrows_taken);

/*
 * An open block.  It points into the caller's bytes, which must outlive it; nothing to free.
 * codec_reader.h defines it: 9 kB, for the stack, private by convention.
 */
typedef struct CodecReader CodecReader;

typedef enum CodecStatus
{
	CODEC_OK = 0,
	CODEC_CORRUPT,				/* the bytes are no block of nrows rows */
	CODEC_UNSUPPORTED,			/* a newer encoding than this code knows */
} CodecStatus;

/*
 * Validates the block's structure and prepares random access.  Cheap: O(columns), and O(rows) where
 * rows differ in width; no allocation.
 */
extern CodecStatus codec_open(CodecReader *reader, const uint8_t *block, size_t length,
							  uint32_t nrows);

/*
 * In what follows, rows must be less than the block's number of rows, and values v less than
 * codec_nvalues().
 */

/* The widest row's width. */
extern uint32_t codec_nvalues(const CodecReader *reader);

/* Width of row (CODEC_WIDTH_NULL for a NULL array). */
extern uint16_t codec_width_at(const CodecReader *reader, uint32_t row);

/* Does any row differ in width, or have a NULL element? */
extern bool codec_is_ragged(const CodecReader *reader);
extern bool codec_has_nulls(const CodecReader *reader);

/* Last row at or before time, or -1. */
extern int32_t codec_find(const CodecReader *reader, int64_t time);

extern int64_t codec_time_at(const CodecReader *reader, uint32_t row);

/* Value v of row; *isnull tells a NULL element (the return is then 0.0). */
extern double codec_value_at(const CodecReader *reader, uint32_t row, uint32_t v, bool *isnull);

/* Rows first .. first + count - 1 into dst[count]; 0.0 where value v is NULL. */
extern void codec_decode_times(const CodecReader *reader, uint32_t first, uint32_t count,
							   int64_t *dst);

/* Does each of count times exceed the one before?  Those of a corrupt block need not. */
extern bool codec_times_ascend(const int64_t *time, uint32_t count);

extern void codec_decode_column(const CodecReader *reader, uint32_t v, uint32_t first,
								uint32_t count, double *dst);

/* One byte a row: 1 where value v is NULL, 0 elsewhere (rows too narrow for v count as NULL). */
extern void codec_decode_nulls(const CodecReader *reader, uint32_t v, uint32_t first,
							   uint32_t count, uint8_t *dst);

#endif							/* HISTORIAN_CODEC_H */
