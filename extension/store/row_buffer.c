/*
 * row_buffer.c
 *	  Rows of one tag in memory, row-major, on their way into segments.
 *
 * Nearly all tags have rows of one width without NULLs, so the arrays of widths and of NULLs are
 * made only when a row needs them.
 */
#include "postgres.h"

#include "store/row_buffer.h"

#include "utils/memutils.h"

/* A tag of which one row comes needs no room for more; one of which two come needs some. */
#define FIRST_CAPACITY 1
#define SECOND_CAPACITY 8

/* A row's place in the order in which rows were added. */
typedef struct RowOrder
{
	int64		time;
	uint32		row;
} RowOrder;

static void grow(RowBuffer *buffer);
static void resize_rows(RowBuffer *buffer, uint32 capacity);
static void widen(RowBuffer *buffer, uint32 stride);
static void add_widths(RowBuffer *buffer);
static void add_nulls(RowBuffer *buffer);
static void *resize(void *array, Size size);
static void *permute(const void *array, const RowOrder *order, uint32 n, Size row_bytes);
static int	compare_row_order(const void *left, const void *right);

void
row_buffer_lend(RowBuffer *buffer, uint32 stride, void *memory)
{
	*buffer = (RowBuffer) {
		.capacity = 1,
		.stride = stride,
		.lent = true,
		.time = memory,
		.values = (double *) ((int64 *) memory + 1),
	};
}

void
row_buffer_move(RowBuffer *to, const RowBuffer *from)
{
	int64	   *time = to->time;
	double	   *values = to->values;

	Assert(to->nrows == 0 && (!from->lent || (to->lent && to->stride == from->stride)));
	*to = *from;
	if (from->lent)
	{
		to->time = time;
		to->values = values;
		memcpy(time, from->time, from->nrows * sizeof(int64));
		memcpy(values, from->values, from->nrows * from->stride * sizeof(double));
	}
}

RowSlot
row_buffer_add(RowBuffer *buffer, int64 time, uint16 width, bool nulls)
{
	uint32		nvalues = width == CODEC_WIDTH_NULL ? 0 : width;
	uint32		row = buffer->nrows;
	RowSlot		slot;

	if (row == 0 && nvalues > buffer->stride)
	{
		/* memory that is kept may be for many narrow rows, and too much if each were widened */
		if (buffer->capacity > 0)
			row_buffer_free(buffer);
		*buffer = (RowBuffer) {.stride = nvalues};
	}
	else if (nvalues > buffer->stride)
		widen(buffer, nvalues);
	if (row > 0 && time <= buffer->time[row - 1])
	{
		if (time == buffer->time[row - 1])
			row--;
		else
			buffer->unordered = true;
	}
	if (row == buffer->capacity)
		grow(buffer);
	if (width != buffer->stride && buffer->width == NULL)
		add_widths(buffer);
	if (nulls && buffer->isnull == NULL)
		add_nulls(buffer);

	buffer->nrows = row + 1;
	buffer->time[row] = time;
	if (buffer->width != NULL)
		buffer->width[row] = width;
	slot.values = buffer->values + (Size) row * buffer->stride;
	slot.isnull = buffer->isnull ? buffer->isnull + (Size) row * buffer->stride : NULL;
	if (slot.isnull != NULL)
		memset(slot.isnull, 0, buffer->stride);
	/* values beyond the row's width are not read back, but must not differ from run to run */
	for (uint32 v = nvalues; v < buffer->stride; v++)
		slot.values[v] = 0.0;
	return slot;
}

void
row_buffer_sort(RowBuffer *buffer)
{
	uint32		nrows = buffer->nrows;
	uint32		n = 0;
	RowOrder   *order;
	RowBuffer	sorted = *buffer;

	if (!buffer->unordered)
		return;

	order = palloc_extended(nrows * sizeof(RowOrder), MCXT_ALLOC_HUGE);
	for (uint32 row = 0; row < nrows; row++)
		order[row] = (RowOrder) {.time = buffer->time[row], .row = row};
	qsort(order, nrows, sizeof(RowOrder), compare_row_order);
	for (uint32 row = 0; row < nrows; row++)
	{
		if (row + 1 == nrows || order[row].time != order[row + 1].time)
			order[n++] = order[row];
	}

	sorted.nrows = n;
	sorted.capacity = n;
	sorted.unordered = false;
	sorted.lent = false;
	sorted.time = permute(buffer->time, order, n, sizeof(int64));
	sorted.values = permute(buffer->values, order, n, buffer->stride * sizeof(double));
	sorted.width = permute(buffer->width, order, n, sizeof(uint16));
	sorted.isnull = permute(buffer->isnull, order, n, buffer->stride);
	pfree(order);

	row_buffer_free(buffer);
	*buffer = sorted;
}

void
row_buffer_empty(RowBuffer *buffer)
{
	buffer->nrows = 0;
	buffer->unordered = false;
	if (buffer->width == NULL && buffer->isnull == NULL)
		return;
	row_buffer_free(buffer);
	*buffer = (RowBuffer) {0};
}

void
row_buffer_free(RowBuffer *buffer)
{
	if (!buffer->lent && buffer->time != NULL)
	{
		pfree(buffer->time);
		pfree(buffer->values);
	}
	if (buffer->width != NULL)
		pfree(buffer->width);
	if (buffer->isnull != NULL)
		pfree(buffer->isnull);
}

void
row_buffer_shift(RowBuffer *buffer, uint32 n)
{
	Size		rest = buffer->nrows - n;
	Size		stride = buffer->stride;

	Assert(n <= buffer->nrows);
	memmove(buffer->time, buffer->time + n, rest * sizeof(int64));
	memmove(buffer->values, buffer->values + n * stride, rest * stride * sizeof(double));
	if (buffer->width != NULL)
		memmove(buffer->width, buffer->width + n, rest * sizeof(uint16));
	if (buffer->isnull != NULL)
		memmove(buffer->isnull, buffer->isnull + n * stride, rest * stride);
	buffer->nrows = rest;
}

CodecRows
row_buffer_rows(const RowBuffer *buffer, uint32 first)
{
	Size		offset = (Size) first * buffer->stride;

	return (CodecRows) {
		.nrows = buffer->nrows - first,
		.nvalues = buffer->stride,
		.time = buffer->time + first,
		.values = buffer->values + offset,
		.row_stride = buffer->stride,
		.value_stride = 1,
		.width = buffer->width ? buffer->width + first : NULL,
		.isnull = buffer->isnull ? buffer->isnull + offset : NULL,
	};
}

/* Makes room for more rows. */
static void
grow(RowBuffer *buffer)
{
	resize_rows(buffer, buffer->capacity == 0 ? FIRST_CAPACITY
				: Max(SECOND_CAPACITY, buffer->capacity * 2));
}

static void
resize_rows(RowBuffer *buffer, uint32 capacity)
{
	Size		cells = (Size) capacity * buffer->stride;

	if (buffer->lent)
	{
		int64	   *time = resize(NULL, capacity * sizeof(int64));
		double	   *values = resize(NULL, cells * sizeof(double));

		memcpy(time, buffer->time, buffer->nrows * sizeof(int64));
		memcpy(values, buffer->values, buffer->nrows * buffer->stride * sizeof(double));
		buffer->time = time;
		buffer->values = values;
		buffer->lent = false;
	}
	else
	{
		buffer->time = resize(buffer->time, capacity * sizeof(int64));
		buffer->values = resize(buffer->values, cells * sizeof(double));
	}
	buffer->bytes = capacity * sizeof(int64) + cells * sizeof(double);
	if (buffer->width != NULL)
	{
		buffer->width = resize(buffer->width, capacity * sizeof(uint16));
		buffer->bytes += capacity * sizeof(uint16);
	}
	if (buffer->isnull != NULL)
	{
		buffer->isnull = resize(buffer->isnull, cells);
		buffer->bytes += cells;
	}
	buffer->capacity = capacity;
}

/* Makes room for wider rows; the rows so far keep their widths. */
static void
widen(RowBuffer *buffer, uint32 stride)
{
	Size		old = buffer->stride;
	double	   *values;

	if (buffer->lent)
		resize_rows(buffer, buffer->capacity);
	values = resize(NULL, (Size) buffer->capacity * stride * sizeof(double));
	if (buffer->width == NULL)
		add_widths(buffer);
	for (uint32 row = 0; row < buffer->nrows; row++)
	{
		memcpy(values + (Size) row * stride, buffer->values + row * old, old * sizeof(double));
		memset(values + (Size) row * stride + old, 0, (stride - old) * sizeof(double));
	}
	pfree(buffer->values);
	buffer->values = values;

	if (buffer->isnull != NULL)
	{
		uint8	   *isnull = resize(NULL, (Size) buffer->capacity * stride);

		for (uint32 row = 0; row < buffer->nrows; row++)
		{
			memcpy(isnull + (Size) row * stride, buffer->isnull + row * old, old);
			memset(isnull + (Size) row * stride + old, 0, stride - old);
		}
		pfree(buffer->isnull);
		buffer->isnull = isnull;
	}
	buffer->bytes += (Size) buffer->capacity * (stride - old) * sizeof(double);
	buffer->stride = stride;
}

static void
add_widths(RowBuffer *buffer)
{
	buffer->width = resize(NULL, buffer->capacity * sizeof(uint16));
	for (uint32 row = 0; row < buffer->nrows; row++)
		buffer->width[row] = buffer->stride;
	buffer->bytes += buffer->capacity * sizeof(uint16);
}

static void
add_nulls(RowBuffer *buffer)
{
	Size		cells = (Size) buffer->capacity * buffer->stride;

	buffer->isnull = resize(NULL, cells);
	memset(buffer->isnull, 0, cells);
	buffer->bytes += cells;
}

/* Allocates or reallocates, at least 8 bytes, so that there is always something to free. */
static void *
resize(void *array, Size size)
{
	size = Max(size, sizeof(double));
	return array == NULL ? palloc_extended(size, MCXT_ALLOC_HUGE) : repalloc_huge(array, size);
}

/* Returns a copy of an array's rows in a new order, or NULL for NULL. */
static void *
permute(const void *array, const RowOrder *order, uint32 n, Size row_bytes)
{
	char	   *copy;

	if (array == NULL)
		return NULL;
	copy = resize(NULL, n * row_bytes);
	for (uint32 to = 0; to < n; to++)
		memcpy(copy + to * row_bytes, (const char *) array + order[to].row * row_bytes, row_bytes);
	return copy;
}

static int
compare_row_order(const void *left, const void *right)
{
	const RowOrder *a = left;
	const RowOrder *b = right;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->row < b->row ? -1 : 1;
}
