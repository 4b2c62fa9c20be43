/*
 * codec.h
 *	  Compression of a run of rows (time, values) of one tag: the public contract.
 *
 * The codec is pure C and knows nothing of PostgreSQL.  A *block* is the bytes of one run.  It
 * starts at any alignment, is little-endian on every machine, and describes itself except for its
 * length and its number of rows, which the caller keeps (a segment has both).
 *
 * Losslessness: every int64 time and every double comes back bit for bit (NaN payloads, -0.0 and
 * subnormals included), and so do the rows' widths and the NULL elements.
 *
 * Safety: codec_open() validates every length and offset of the block, and the width of every row.
 * Whatever the bytes are, no later call on the same reader reads outside of the block or returns a
 * width above codec_nvalues(), other than CODEC_WIDTH_NULL.  Damaged bytes may still give any
 * doubles and any times, which need not ascend.  A checksum and bounds for times are the caller's
 * task.
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
 * A block of one row takes at most this many bytes, 8 bytes for each value and, if any element is
 * NULL, one bit for each value.
 */
#define CODEC_ROW_OVERHEAD 14

/* Width of a row whose array itself is NULL (an empty array has width 0). */
#define CODEC_WIDTH_NULL UINT16_MAX

/*
 * Rows to encode.  Value v of row r is values[r * row_stride + v * value_stride], so that row-major
 * and column-major sources both work.
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

/* Scratch memory, some 400 kB and 8 bytes for each value of a block.  Each thread needs its own. */
typedef struct CodecEncoder CodecEncoder;

/* Returns NULL if memory is short.  The caller frees it with codec_encoder_free(). */
extern CodecEncoder *codec_encoder_new(void);
extern void codec_encoder_free(CodecEncoder *encoder);

/*
 * Encodes rows into dst.  Returns the number of bytes written, or 0 if they do not fit into
 * capacity or memory is short; dst is then unchanged.  The same rows always give the same bytes,
 * whatever the encoder did before.
 */
extern size_t codec_encode(CodecEncoder *encoder, const CodecRows *rows,
						   uint8_t *dst, size_t capacity);

/*
 * Encodes about as many of the first rows as fit into capacity, and sets *nrows_taken to their
 * number, at least 1.  Fills capacity to 99%, or to within a row, if there are enough rows and all
 * take about the same.  A good guess of the rows that fit saves half of the work or more, and capacity is
 * filled to 98% then; 0: there is none, and a guess for more rows alike is left in it if not all rows
 * fit; NULL: none is wanted.  Returns the bytes written, or 0 if not even one
 * row fits or memory is short.
 */
extern size_t codec_encode_fit(CodecEncoder *encoder, const CodecRows *rows, uint8_t *dst,
							   size_t capacity, uint32_t *guess, uint32_t *nrows_taken);

/*
 * An open block.  It points into the caller's bytes, which must outlive it, and needs no freeing.
 * codec_reader.h defines it, so that it can be on the stack (9 kB); its members are private.
 */
typedef struct CodecReader CodecReader;

typedef enum CodecStatus
{
	CODEC_OK = 0,
	CODEC_CORRUPT,				/* the bytes are no block of nrows rows */
	CODEC_UNSUPPORTED,			/* the encoding is newer than this code */
} CodecStatus;

/*
 * Validates the block's structure and prepares random access.  It is cheap: O(columns), and O(rows)
 * if rows differ in width, without allocation.
 */
extern CodecStatus codec_open(CodecReader *reader, const uint8_t *block, size_t length,
							  uint32_t nrows);

/*
 * Adds base to all times of the open block, modulo 2^64.  Blocks of one page can so be encoded with
 * small times.
 */
extern void codec_rebase(CodecReader *reader, int64_t base);

/*
 * For all functions below, rows must be less than the block's number of rows, and values v less
 * than codec_nvalues().
 */

/* The widest row's width. */
extern uint32_t codec_nvalues(const CodecReader *reader);

/* The width of row (CODEC_WIDTH_NULL for a NULL array). */
extern uint16_t codec_width_at(const CodecReader *reader, uint32_t row);

/* Do rows differ in width?  Do any have a NULL element? */
extern bool codec_is_ragged(const CodecReader *reader);
extern bool codec_has_nulls(const CodecReader *reader);

/* The last row at or before time, or -1. */
extern int32_t codec_find(const CodecReader *reader, int64_t time);

extern int64_t codec_time_at(const CodecReader *reader, uint32_t row);

/* Value v of row.  Returns 0.0 and sets *isnull if it is NULL, or the row is too narrow for it. */
extern double codec_value_at(const CodecReader *reader, uint32_t row, uint32_t v, bool *isnull);

/* The times of rows first .. first + count - 1, into dst[count]. */
extern void codec_decode_times(const CodecReader *reader, uint32_t first, uint32_t count,
							   int64_t *dst);

/* Does each of count times exceed the one before?  Those of a corrupt block may not. */
extern bool codec_times_ascend(const int64_t *time, uint32_t count);

/* Value v of the same rows: 0.0 where it is NULL or the row is too narrow for it. */
extern void codec_decode_column(const CodecReader *reader, uint32_t v, uint32_t first,
								uint32_t count, double *dst);

/*
 * One byte for each of these rows: 1 where value v is NULL or the row is too narrow for it, else 0.
 */
extern void codec_decode_nulls(const CodecReader *reader, uint32_t v, uint32_t first,
							   uint32_t count, uint8_t *dst);

#endif							/* HISTORIAN_CODEC_H */
