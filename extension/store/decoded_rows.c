/*
 * decoded_rows.c
 *	  Decodes rows of one segment into memory, and makes SQL arrays of them.
 */
#include "postgres.h"

#include "store/decoded_rows.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

static bool load(DecodedRows *rows, const Segment *segment, uint32 first, uint32 end, int64 from,
				 int64 until, ValueRange wanted);
static bool times_ascend(const DecodedRows *rows, int64 from, int64 until);
static ArrayType *new_array(uint32 first_value, uint32 width, bool with_nulls);

bool
decoded_rows_load(DecodedRows *rows, const Segment *segment, int64 from, int64 until,
				  ValueRange wanted)
{
	const CodecReader *reader = &segment->rows;
	uint32		first = 0;
	uint32		end = segment->header.nrows;

	if (from > segment->header.first_time)
		first = codec_find(reader, from - 1) + 1;
	if (until < segment->header.last_time)
		end = codec_find(reader, until) + 1;
	if (first >= end)
	{
		rows->nrows = 0;
		return true;
	}
	return load(rows, segment, first, end, from, until, wanted);
}

bool
decoded_rows_load_numbered(DecodedRows *rows, const Segment *segment, uint32 first, uint32 end,
						   ValueRange wanted)
{
	return load(rows, segment, first, end, PG_INT64_MIN, PG_INT64_MAX, wanted);
}

/* Decodes rows first .. end - 1, whose times must be from .. until. */
static bool
load(DecodedRows *rows, const Segment *segment, uint32 first, uint32 end, int64 from, int64 until,
	 ValueRange wanted)
{
	const CodecReader *reader = &segment->rows;
	uint32		end_value = Min(wanted.end, codec_nvalues(reader));
	uint32		nvalues = end_value > wanted.first ? end_value - wanted.first : 0;
	bool		want_values = wanted.end > wanted.first;

	rows->first_row = segment->first_row + first;
	rows->first_value = wanted.first;
	rows->widest = codec_nvalues(reader);
	decoded_rows_reserve(rows, end - first, nvalues, want_values && codec_is_ragged(reader),
						 want_values && codec_has_nulls(reader));
	codec_decode_times(reader, first, rows->nrows, rows->time);
	if (!times_ascend(rows, Max(from, segment->header.first_time),
					  Min(until, segment->header.last_time)))
		return false;
	for (uint32 v = 0; v < nvalues; v++)
		codec_decode_column(reader, wanted.first + v, first, rows->nrows,
							rows->values + (Size) v * rows->nrows);
	if (rows->width != NULL)
	{
		for (uint32 row = 0; row < rows->nrows; row++)
		{
			uint16		width = codec_width_at(reader, first + row);

			if (width != CODEC_WIDTH_NULL)
				width = width > wanted.first ? Min(width - wanted.first, nvalues) : 0;
			rows->width[row] = width;
		}
	}
	if (rows->isnull != NULL)
	{
		for (uint32 v = 0; v < nvalues; v++)
			codec_decode_nulls(reader, wanted.first + v, first, rows->nrows,
							   rows->isnull + (Size) v * rows->nrows);
	}
	return true;
}

void
decoded_rows_free(DecodedRows *rows)
{
	if (rows->memory != NULL)
		pfree(rows->memory);
	memset(rows, 0, sizeof(*rows));
}

Datum
decoded_rows_array(const DecodedRows *rows, uint32 row, bool *isnull)
{
	uint32		width = rows->width ? rows->width[row] : rows->nvalues;
	ArrayType  *array;
	bits8	   *bitmap;
	bool		with_nulls = false;
	double	   *dst;

	*isnull = width == CODEC_WIDTH_NULL;
	if (*isnull)
		return (Datum) 0;

	for (uint32 v = 0; rows->isnull != NULL && v < width; v++)
		with_nulls |= rows->isnull[(Size) v * rows->nrows + row];

	array = new_array(rows->first_value, width, with_nulls);
	bitmap = ARR_NULLBITMAP(array);
	dst = (double *) ARR_DATA_PTR(array);
	for (uint32 v = 0; v < width; v++)
	{
		Size		at = (Size) v * rows->nrows + row;

		if (with_nulls && rows->isnull[at])
			continue;
		*dst++ = rows->values[at];
		if (bitmap != NULL)
			bitmap[v / 8] |= 1 << (v % 8);
	}
	if (with_nulls)
		SET_VARSIZE(array, (char *) dst - (char *) array);
	return PointerGetDatum(array);
}

Datum
decoded_rows_segment_array(const Segment *segment, uint32 row, bool *isnull)
{
	const CodecReader *reader = &segment->rows;
	uint32		width = codec_width_at(reader, row);
	bool		with_nulls = codec_has_nulls(reader);
	ArrayType  *array;
	bits8	   *bitmap;
	double	   *dst;
	uint32		present = 0;

	*isnull = width == CODEC_WIDTH_NULL;
	if (*isnull)
		return (Datum) 0;

	array = new_array(0, width, with_nulls);
	bitmap = ARR_NULLBITMAP(array);
	dst = (double *) ARR_DATA_PTR(array);
	for (uint32 v = 0; v < width; v++)
	{
		bool		missing;
		double		value = codec_value_at(reader, row, v, &missing);

		if (missing)
			continue;
		dst[present++] = value;
		if (bitmap != NULL)
			bitmap[v / 8] |= 1 << (v % 8);
	}

	/* the canonical form, though PostgreSQL compares arrays with and without a bitmap alike */
	if (with_nulls && present == width && width > 0)
	{
		ArrayType  *dense = new_array(0, width, false);

		memcpy(ARR_DATA_PTR(dense), dst, width * sizeof(double));
		pfree(array);
		array = dense;
	}
	else if (with_nulls && width > 0)
		SET_VARSIZE(array, (char *) (dst + present) - (char *) array);
	return PointerGetDatum(array);
}

CodecRows
decoded_rows_source(const DecodedRows *rows)
{
	return (CodecRows) {
		.nrows = rows->nrows,
		.nvalues = rows->nvalues,
		.time = rows->time,
		.values = rows->values,
		.row_stride = 1,
		.value_stride = rows->nrows,
		.width = rows->width,
		.isnull = rows->isnull,
	};
}

void
decoded_rows_append(const DecodedRows *rows, uint32 row, RowBuffer *buffer)
{
	uint16		width = rows->width ? rows->width[row] : rows->nvalues;
	uint32		nvalues = width == CODEC_WIDTH_NULL ? 0 : width;
	RowSlot		slot = row_buffer_add(buffer, rows->time[row], width, rows->isnull != NULL);

	for (uint32 v = 0; v < nvalues; v++)
	{
		Size		at = (Size) v * rows->nrows + row;

		slot.values[v] = rows->values[at];
		if (rows->isnull != NULL)
			slot.isnull[v] = rows->isnull[at];
	}
}

/*
 * Do the times ascend within bounds?  Damaged ones would mislead readers, who merge rows by time.
 */
static bool
times_ascend(const DecodedRows *rows, int64 from, int64 until)
{
	const int64 *time = rows->time;

	return codec_times_ascend(time, rows->nrows) && time[0] >= from &&
		time[rows->nrows - 1] <= until;
}

/* Lays the arrays out in one piece of memory. */
void
decoded_rows_reserve(DecodedRows *rows, uint32 nrows, uint32 nvalues, bool ragged, bool nulls)
{
	Size		cells = (Size) nrows * nvalues;
	Size		size = nrows * sizeof(int64) + cells * sizeof(double);
	char	   *next;

	if (ragged)
		size += nrows * sizeof(uint16);
	if (nulls)
		size += cells;
	if (size > rows->memory_bytes)
	{
		if (rows->memory != NULL)
			pfree(rows->memory);
		rows->memory = palloc_extended(size, MCXT_ALLOC_HUGE);
		rows->memory_bytes = size;
	}

	next = rows->memory;
	rows->nrows = nrows;
	rows->nvalues = nvalues;
	rows->time = (int64 *) next;
	next += nrows * sizeof(int64);
	rows->values = (double *) next;
	next += cells * sizeof(double);
	rows->width = ragged ? (uint16 *) next : NULL;
	next += ragged ? nrows * sizeof(uint16) : 0;
	rows->isnull = nulls ? (uint8 *) next : NULL;
}

/* Makes an array with room for width values; in its bitmap, if it has one, all are NULL. */
static ArrayType *
new_array(uint32 first_value, uint32 width, bool with_nulls)
{
	Size		overhead = with_nulls ? ARR_OVERHEAD_WITHNULLS(1, width) : ARR_OVERHEAD_NONULLS(1);
	ArrayType  *array;

	if (width == 0)
		return construct_empty_array(FLOAT8OID);

	array = palloc(overhead + width * sizeof(double));
	memset(array, 0, overhead);
	SET_VARSIZE(array, overhead + width * sizeof(double));
	array->ndim = 1;
	array->dataoffset = with_nulls ? overhead : 0;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = width;
	ARR_LBOUND(array)[0] = first_value + 1;
	return array;
}
