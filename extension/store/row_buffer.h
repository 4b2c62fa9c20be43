/*
 * row_buffer.h
 *	  Rows of one tag in memory, row-major, on their way into segments.
 */
#ifndef HISTORIAN_ROW_BUFFER_H
#define HISTORIAN_ROW_BUFFER_H

#include "postgres.h"

#include "codec/codec.h"

/* The values of a row with numbers first <= number < end. */
typedef struct ValueRange
{
	uint32		first;
	uint32		end;
} ValueRange;

static const ValueRange values_all = {0, CODEC_MAX_VALUES};
static const ValueRange values_none = {0, 0};

/* Zero it to start; it allocates in the memory context that is current at each call. */
typedef struct RowBuffer
{
	uint32		nrows;
	uint32		capacity;		/* rows allocated */
	uint32		stride;			/* values allocated a row: the widest so far */
	bool		unordered;		/* times are not strictly ascending */
	bool		lent;			/* time and values are the owner's memory, for one row */
	int64	   *time;
	double	   *values;
	uint16	   *width;			/* NULL while every row is stride wide */
	uint8	   *isnull;			/* NULL while no element is NULL */
	Size		bytes;			/* allocated */
} RowBuffer;

/*
 * A buffer may begin with memory for one row that its owner lends it, and keeps for as long as the
 * buffer is in use.  Of most tags of a plant a load brings no more.
 */
static inline Size
row_buffer_lent_bytes(uint32 stride)
{
	return sizeof(int64) + stride * sizeof(double);
}

/* Begins with rows of stride values; memory is aligned, and has row_buffer_lent_bytes(). */
extern void row_buffer_lend(RowBuffer *buffer, uint32 stride, void *memory);

/*
 * Moves all rows to a buffer that has just begun with memory for as wide ones, where from has such
 * memory too.
 */
extern void row_buffer_move(RowBuffer *to, const RowBuffer *from);

/* Where the values of a new row go. */
typedef struct RowSlot
{
	double	   *values;			/* [width] */
	uint8	   *isnull;			/* [width], zeroed; NULL if no row has a NULL element */
} RowSlot;

/*
 * Adds a row of width values (CODEC_WIDTH_NULL: a NULL array), which the caller fills in.  With
 * nulls, the slot has flags for NULL elements.  A row with the time of the row before replaces it.
 */
extern RowSlot row_buffer_add(RowBuffer *buffer, int64 time, uint16 width, bool nulls);

/* How many bytes more the present rows will take once a row of this width is added. */
static inline Size
row_buffer_widening(const RowBuffer *buffer, uint16 width)
{
	Size		cell = sizeof(double) + (buffer->isnull != NULL ? sizeof(uint8) : 0);

	if (width == CODEC_WIDTH_NULL || width <= buffer->stride || buffer->nrows == 0)
		return 0;
	return (Size) buffer->capacity * (width - buffer->stride) * cell;
}

/* Orders the rows by time, and of those with equal times keeps the one added last. */
extern void row_buffer_sort(RowBuffer *buffer);

/* Forgets all rows.  Keeps the memory if all rows had one width and no NULLs. */
extern void row_buffer_empty(RowBuffer *buffer);

/* Frees what the buffer has allocated; it must be zeroed before it is used again. */
extern void row_buffer_free(RowBuffer *buffer);

/* Forgets the first n rows. */
extern void row_buffer_shift(RowBuffer *buffer, uint32 n);

/* The rows from first on, as input of the codec.  Valid until the buffer changes. */
extern CodecRows row_buffer_rows(const RowBuffer *buffer, uint32 first);

#endif							/* HISTORIAN_ROW_BUFFER_H */
