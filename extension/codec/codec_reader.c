/*
 * codec_reader.c
 *	  Opens a block, and reads from it.
 *
 * A block has one byte of version and flags, the number of values as a varint, all headers and then
 * all data.  Both are in this order: times; widths, if the block is ragged; columns, each after its
 * NULL flags if the block has any.  Under a shared header two arrays come before the columns' data:
 * their bases, and the NULL flags of all, one bit each.
 *
 * No length is stored.  The lengths follow from the headers, and their sum must be the block's
 * length.  So one pass over the headers, which are adjacent, validates everything and finds each
 * column.
 */
#include "codec/codec_reader.h"

#include "codec/codec_column.h"
#include "codec/codec_huffman.h"
#include "codec/codec_runs.h"
#include "codec/codec_stream.h"

/* Does the reader of a block with these flags keep the first columns open? */
static inline bool
columns_are_kept(uint8_t flags)
{
	return !(flags & (CODEC_BLOCK_SHARED | CODEC_BLOCK_NULLS));
}

/* Sets *column to column v of a block with a shared header. */
static void
shared_column(const CodecReader *reader, uint32_t v, CodecColumn *column)
{
	unsigned	width = reader->shared_base_width;

	*column = reader->shared;
	column->ints.base = bits_sign_extend(bits_get(reader->shared_bases, reader->last, width, v),
										 width);
	codec_column_attach(column, reader->shared_data + (size_t) v * reader->shared_bytes,
						reader->last);
}

/*
 * Parses the headers of column v again, which codec_open() has found to be valid.  Sets *nulls only
 * if the block has NULL flags.
 */
static void
parsed_column(const CodecReader *reader, uint32_t v, CodecColumn *column, CodecColumn *nulls)
{
	const uint8_t *data = reader->block + reader->column_data[v];
	ByteCursor	cursor = {
		.at = reader->block + reader->column_header[v],
		.end = reader->last + CODEC_BLOCK_MIN_BYTES,
	};

	if (reader->flags & CODEC_BLOCK_NULLS)
	{
		codec_column_parse(nulls, &cursor, reader->nrows, false);
		codec_column_attach(nulls, data, reader->last);
		data += codec_column_data_bytes(nulls);
	}
	codec_column_parse(column, &cursor, reader->nrows, false);
	codec_column_attach(column, data, reader->last);
}

/*
 * Returns column v, in *column unless it is kept open.  Sets *nulls to its NULL flags if the block
 * has any and no shared header.
 */
static inline const CodecColumn *
column_open(const CodecReader *reader, uint32_t v, CodecColumn *column, CodecColumn *nulls)
{
	if (v < CODEC_OPEN_COLUMNS && columns_are_kept(reader->flags))
		return &reader->column[v];
	if (reader->flags & CODEC_BLOCK_SHARED)
		shared_column(reader, v, column);
	else
		parsed_column(reader, v, column, nulls);
	return column;
}

/* Is each row's width one that a row of this block can have? */
static bool
widths_are_valid(const CodecReader *reader)
{
	const CodecStream *stream = &reader->widths.ints;
	uint64_t	widths[CODEC_DECODE_ROWS];
	bool		valid = stream->scheme != CODEC_RUNS || codec_runs_ascend(stream);

	for (uint32_t first = 0, here; valid && first < reader->nrows; first += here)
	{
		here = reader->nrows - first < CODEC_DECODE_ROWS ? reader->nrows - first : CODEC_DECODE_ROWS;
		codec_stream_decode(stream, first, here, widths);
		for (uint32_t i = 0; i < here; i++)
			valid &= widths[i] <= reader->nvalues || widths[i] == CODEC_WIDTH_NULL;
	}
	return valid;
}

/* Are the parameters of all coded differences valid? */
static bool
codes_are_valid(const CodecReader *reader)
{
	for (uint32_t v = 0; v < reader->nvalues; v++)
	{
		CodecColumn spare;
		CodecColumn nulls;
		const CodecColumn *column = column_open(reader, v, &spare, &nulls);

		if (column->ints.scheme == CODEC_HUFFMAN && !codec_huffman_is_valid(&column->ints))
			return false;
	}
	return true;
}

/*
 * Parses the headers of the columns, and adds the lengths of their data to *bytes.  Returns false
 * if a header is not valid, or if the block has coded differences and its version says that it has
 * none, or the reverse.
 */
static bool
open_columns(CodecReader *reader, bool coded, ByteCursor *cursor, size_t *bytes)
{
	bool		any_coded = false;
	bool		kept = columns_are_kept(reader->flags);
	CodecColumn spare;

	for (uint32_t v = 0; v < reader->nvalues; v++)
	{
		CodecColumn *column = kept && v < CODEC_OPEN_COLUMNS ? &reader->column[v] : &spare;

		reader->column_header[v] = (uint32_t) (cursor->at - reader->block);
		reader->column_data[v] = (uint32_t) *bytes;
		if (reader->flags & CODEC_BLOCK_NULLS)
		{
			if (!codec_column_parse(column, cursor, reader->nrows, false) ||
				column->rule != CODEC_RULE_INTEGER)
				return false;
			*bytes += codec_column_data_bytes(column);
		}
		if (!codec_column_parse(column, cursor, reader->nrows, false) ||
			column->rule == CODEC_RULE_INTEGER)
			return false;
		any_coded |= column->ints.scheme == CODEC_HUFFMAN;
		*bytes += codec_column_data_bytes(column);
	}
	return any_coded == coded;
}

/* Points the columns at their data, which begins after `header` bytes of headers. */
static void
attach_columns(CodecReader *reader, uint32_t header)
{
	for (uint32_t v = 0; v < reader->nvalues; v++)
	{
		reader->column_data[v] += header;
		if (v < CODEC_OPEN_COLUMNS && columns_are_kept(reader->flags))
			codec_column_attach(&reader->column[v], reader->block + reader->column_data[v],
								reader->last);
	}
}

/* Does for a shared header what open_columns() does for the columns' own. */
static bool
open_shared(CodecReader *reader, ByteCursor *cursor, size_t *bytes)
{
	if (!codec_column_parse(&reader->shared, cursor, reader->nrows, true) ||
		reader->shared.rule == CODEC_RULE_INTEGER ||
		reader->shared.rule == CODEC_RULE_PATCHED || reader->shared.rule == CODEC_RULE_SPLIT)
		return false;
	reader->shared_base_width = cursor_byte(cursor);
	if (cursor->overrun || !bits_width_is_valid(reader->shared_base_width))
		return false;
	reader->shared_bytes = (uint32_t) codec_column_data_bytes(&reader->shared);
	*bytes += bits_packed_bytes(reader->nvalues, reader->shared_base_width) +
		codec_shared_null_bytes(reader->flags, reader->nvalues, reader->nrows) +
		(size_t) reader->nvalues * reader->shared_bytes;
	return true;
}

/*
 * Reads what a block begins with: its version, its flags and the number of values.  Sets *coded if
 * it must have coded differences.
 */
static CodecStatus
open_head(CodecReader *reader, ByteCursor *cursor, bool *coded)
{
	uint8_t		byte = cursor_byte(cursor);
	uint64_t	nvalues;

	if (byte >> 4 == 0)
		return CODEC_CORRUPT;
	if (byte >> 4 > CODEC_BLOCK_VERSION_CODED)
		return CODEC_UNSUPPORTED;
	*coded = byte >> 4 == CODEC_BLOCK_VERSION_CODED;
	nvalues = cursor_varint(cursor);
	if ((byte & 0x0f & ~CODEC_BLOCK_FLAGS) || nvalues > CODEC_MAX_VALUES ||
		byte >> 4 != codec_block_version(byte, *coded) || (*coded && byte & CODEC_BLOCK_SHARED))
		return CODEC_CORRUPT;
	reader->nvalues = (uint32_t) nvalues;
	reader->flags = byte & CODEC_BLOCK_FLAGS;
	return CODEC_OK;
}

CodecStatus
codec_open(CodecReader *reader, const uint8_t *block, size_t length, uint32_t nrows)
{
	ByteCursor	cursor = {.at = block, .end = block + length};
	size_t		time_bytes;
	size_t		width_bytes = 0;
	size_t		bytes;
	size_t		header;
	CodecStatus status;
	bool		shared;
	bool		coded;

	if (length < CODEC_BLOCK_MIN_BYTES || length > UINT32_MAX || nrows == 0 ||
		nrows > CODEC_MAX_ROWS)
		return CODEC_CORRUPT;
	status = open_head(reader, &cursor, &coded);
	if (status != CODEC_OK)
		return status;
	shared = reader->flags & CODEC_BLOCK_SHARED;
	reader->block = block;
	reader->last = block + length - 8;
	reader->nrows = nrows;

	if (!codec_times_parse(&reader->times, &cursor, nrows))
		return CODEC_CORRUPT;
	time_bytes = codec_stream_data_bytes(&reader->times.units);
	if (reader->flags & CODEC_BLOCK_RAGGED)
	{
		if (!codec_column_parse(&reader->widths, &cursor, nrows, false) ||
			reader->widths.rule != CODEC_RULE_INTEGER)
			return CODEC_CORRUPT;
		width_bytes = codec_column_data_bytes(&reader->widths);
	}
	bytes = time_bytes + width_bytes;
	if (!(shared ? open_shared(reader, &cursor, &bytes)
		  : open_columns(reader, coded, &cursor, &bytes)))
		return CODEC_CORRUPT;

	/* the lengths must add up to the block's, except for the zeros that fill up a short block */
	header = (size_t) (cursor.at - block);
	if (header + bytes > length ||
		(header + bytes < length && length > CODEC_BLOCK_MIN_BYTES))
		return CODEC_CORRUPT;

	reader->times.units.data = block + header;
	reader->times.units.last = reader->last;
	if (reader->flags & CODEC_BLOCK_RAGGED)
		codec_column_attach(&reader->widths, block + header + time_bytes, reader->last);
	if (shared)
	{
		reader->shared_bases = block + header + time_bytes + width_bytes;
		reader->shared_nulls = reader->shared_bases +
			bits_packed_bytes(reader->nvalues, reader->shared_base_width);
		reader->shared_data = reader->shared_nulls +
			codec_shared_null_bytes(reader->flags, reader->nvalues, nrows);
	}
	else
		attach_columns(reader, (uint32_t) header);
	if (((reader->flags & CODEC_BLOCK_RAGGED) && !widths_are_valid(reader)) ||
		(coded && !codes_are_valid(reader)))
		return CODEC_CORRUPT;
	return CODEC_OK;
}

uint32_t
codec_nvalues(const CodecReader *reader)
{
	return reader->nvalues;
}

uint16_t
codec_width_at(const CodecReader *reader, uint32_t row)
{
	if (!(reader->flags & CODEC_BLOCK_RAGGED))
		return (uint16_t) reader->nvalues;
	return (uint16_t) codec_stream_get(&reader->widths.ints, row);
}

bool
codec_is_ragged(const CodecReader *reader)
{
	return reader->flags & CODEC_BLOCK_RAGGED;
}

bool
codec_has_nulls(const CodecReader *reader)
{
	return reader->flags & CODEC_BLOCK_NULLS;
}

void
codec_rebase(CodecReader *reader, int64_t base)
{
	reader->times.first = (int64_t) ((uint64_t) reader->times.first + (uint64_t) base);
}

int32_t
codec_find(const CodecReader *reader, int64_t time)
{
	return codec_times_find(&reader->times, time);
}

int64_t
codec_time_at(const CodecReader *reader, uint32_t row)
{
	return codec_times_get(&reader->times, row);
}

/* Does a row of this width have a value v?  A NULL array has none. */
static inline bool
row_reaches(uint16_t width, uint32_t v)
{
	return width != CODEC_WIDTH_NULL && width > v;
}

double
codec_value_at(const CodecReader *reader, uint32_t row, uint32_t v, bool *isnull)
{
	const CodecColumn *column;
	CodecColumn spare;
	CodecColumn nulls;

	*isnull = (reader->flags & CODEC_BLOCK_RAGGED) &&
		!row_reaches(codec_width_at(reader, row), v);
	if (*isnull)
		return 0.0;

	column = column_open(reader, v, &spare, &nulls);
	if (reader->flags & CODEC_BLOCK_NULLS)
	{
		*isnull = reader->flags & CODEC_BLOCK_SHARED
			? bits_get(reader->shared_nulls, reader->last, 1, (size_t) v * reader->nrows + row) != 0
			: codec_stream_get(&nulls.ints, row) != 0;
		if (*isnull)
			return 0.0;
	}
	return codec_column_get(column, row);
}

void
codec_decode_times(const CodecReader *reader, uint32_t first, uint32_t count, int64_t *dst)
{
	codec_times_decode(&reader->times, first, count, dst);
}

/* Sets numbers[count], of at most CODEC_DECODE_ROWS rows, to nonzero where value v is NULL. */
static void
decode_null_flags(const CodecReader *reader, uint32_t v, uint32_t first, uint32_t count,
				  uint64_t *numbers)
{
	CodecColumn column;
	CodecColumn nulls;

	if (reader->flags & CODEC_BLOCK_SHARED)
	{
		for (uint32_t i = 0; i < count; i++)
			numbers[i] = bits_get(reader->shared_nulls, reader->last, 1,
								  (size_t) v * reader->nrows + first + i);
		return;
	}
	parsed_column(reader, v, &column, &nulls);
	codec_stream_decode(&nulls.ints, first, count, numbers);
}

void
codec_decode_nulls(const CodecReader *reader, uint32_t v, uint32_t first, uint32_t count,
				   uint8_t *dst)
{
	uint64_t	numbers[CODEC_DECODE_ROWS];

	memset(dst, 0, count);
	for (uint32_t done = 0, here; done < count; done += here)
	{
		here = count - done < CODEC_DECODE_ROWS ? count - done : CODEC_DECODE_ROWS;
		if (reader->flags & CODEC_BLOCK_RAGGED)
		{
			codec_stream_decode(&reader->widths.ints, first + done, here, numbers);
			for (uint32_t i = 0; i < here; i++)
				dst[done + i] = !row_reaches((uint16_t) numbers[i], v);
		}
		if (reader->flags & CODEC_BLOCK_NULLS)
		{
			decode_null_flags(reader, v, first + done, here, numbers);
			for (uint32_t i = 0; i < here; i++)
				dst[done + i] |= numbers[i] != 0;
		}
	}
}

void
codec_decode_column(const CodecReader *reader, uint32_t v, uint32_t first, uint32_t count,
					double *dst)
{
	CodecColumn spare;
	CodecColumn nulls;

	codec_column_decode(column_open(reader, v, &spare, &nulls), first, count, dst);

	/* the number that is stored in the place of a NULL must not get into a caller's minimum */
	if (reader->flags & (CODEC_BLOCK_RAGGED | CODEC_BLOCK_NULLS))
	{
		uint8_t		isnull[CODEC_DECODE_ROWS];

		for (uint32_t done = 0, here; done < count; done += here)
		{
			here = count - done < CODEC_DECODE_ROWS ? count - done : CODEC_DECODE_ROWS;
			codec_decode_nulls(reader, v, first + done, here, isnull);
			for (uint32_t i = 0; i < here; i++)
				if (isnull[i])
					dst[done + i] = 0.0;
		}
	}
}
