/*
 * fuzz_segment.c
 *	  Hostile segments, read as the table's readers do: whatever segment_open() takes without its checksum
 *	  must be readable row by row, by time, and as rows in memory, within bounds.
 *
 * Input: the bytes of a segment.  PostgreSQL's memory functions are replaced by malloc(), so that the
 * sanitizer knows the end of each piece.
 */
#include "postgres.h"

#include "store/decoded_rows.h"
#include "store/segment.h"

#include "utils/array.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void *
palloc(Size size)
{
	return malloc(size);
}

void *
palloc_extended(Size size, int flags)
{
	return malloc(size);
}

void
pfree(void *pointer)
{
	free(pointer);
}

ArrayType *
construct_empty_array(Oid elmtype)
{
	ArrayType *array = malloc(sizeof(ArrayType));

	memset(array, 0, sizeof(ArrayType));
	SET_VARSIZE(array, sizeof(ArrayType));
	return array;
}

RowSlot
row_buffer_add(RowBuffer *buffer, int64 time, uint16 width, bool nulls)
{
	abort();
}

static void
expect(bool what)
{
	if (!what)
		abort();
}

/* An array must have room for what it says that it has. */
static void
check_array(Datum datum, bool isnull, uint32 nvalues)
{
	ArrayType *array = (ArrayType *) DatumGetPointer(datum);

	if (isnull)
		return;
	expect(ARR_NDIM(array) <= 1);
	expect(ARR_NDIM(array) == 0 || (uint32) ARR_DIMS(array)[0] <= nvalues);
	free(array);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ValueRange ranges[] = {{0, CODEC_MAX_VALUES}, {1, 3}, {0, 0}};
	static Segment segment;
	DecodedRows rows = {0};
	int64 first;
	int64 last;
	uint32 nvalues;
	bool isnull;

	if (segment_open(&segment, data, size, false) != SEGMENT_OK ||
		(segment.header.flags & SEGMENT_SUMMARY))
		return 0;
	first = segment.header.first_time;
	last = segment.header.last_time;
	nvalues = codec_nvalues(&segment.rows);
	expect(codec_time_at(&segment.rows, 0) == first);
	expect(codec_find(&segment.rows, first) >= 0);
	for (uint32 row = 0; row < segment.header.nrows; row += 1 + segment.header.nrows / 16)
	{
		int64 time = codec_time_at(&segment.rows, row);

		if (time >= first)
			expect(codec_find(&segment.rows, time) < (int32) segment.header.nrows);
		check_array(decoded_rows_segment_array(&segment, row, &isnull), isnull, nvalues);
	}
	for (int i = 0; i < (int) lengthof(ranges); i++)
	{
		int64 from = i == 0 ? PG_INT64_MIN : first + (last > first);
		int64 until = i == 1 ? last - (last > first) : PG_INT64_MAX;

		if (!decoded_rows_load(&rows, &segment, from, until, ranges[i]))
			continue;
		expect(rows.nrows <= segment.header.nrows && rows.nvalues <= nvalues);
		for (uint32 row = 0; row < rows.nrows; row++)
		{
			expect(rows.time[row] >= Max(from, first) && rows.time[row] <= Min(until, last));
			expect(row == 0 || rows.time[row - 1] < rows.time[row]);
			if (rows.width != NULL)
				expect(rows.width[row] <= rows.nvalues || rows.width[row] == CODEC_WIDTH_NULL);
			if (row % 16 == 0)
				check_array(decoded_rows_array(&rows, row, &isnull), isnull, nvalues);
		}
	}
	decoded_rows_free(&rows);
	return 0;
}
