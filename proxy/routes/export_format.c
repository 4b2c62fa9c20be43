/*
 * export_format.c
 *	  Reads rows as COPY sends them with FORMAT binary, for formats that are made of numbers.
 *
 * PostgreSQL sends the header together with the first row, or, where there is no row, before the
 * trailer.  The trailer is a piece by itself.  No length is trusted.
 */
#include "routes/export_format.h"

#include <string.h>

#define HEADER_BYTES	19
#define FLOAT8_OID		701
#define MAX_DIMENSIONS	6
#define DIMENSION_BYTES 8

static const char signature[11] = "PGCOPY\n\377\r\n";

typedef struct Reader
{
	const char *next;
	const char *end;
	bool broken;
} Reader;

static uint64_t
take_integer(Reader *reader, size_t bytes)
{
	uint64_t value = 0;

	if ((size_t) (reader->end - reader->next) < bytes)
	{
		reader->broken = true;
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | (unsigned char) *reader->next++;
	return value;
}

/* Returns a field's bytes, or NULL if it is NULL or lies beyond the end. */
static const char *
take_field(Reader *reader, size_t *length)
{
	int32_t bytes = (int32_t) take_integer(reader, 4);
	const char *field = reader->next;

	*length = 0;
	if (bytes == -1)
		return NULL;
	if (bytes < 0 || reader->end - reader->next < bytes)
	{
		reader->broken = true;
		return NULL;
	}
	*length = (size_t) bytes;
	reader->next += bytes;
	return field;
}

/* Reads the head of an array, and looks at each of its values once. */
static void
read_array(ExportRow *row, const char *array, size_t length, Reader *outer)
{
	Reader reader = {array, array + length, false};
	uint64_t dimensions = take_integer(&reader, 4);
	uint64_t count = dimensions > 0;
	Reader values;

	take_integer(&reader, 4); /* whether there are NULLs */
	if (take_integer(&reader, 4) != FLOAT8_OID || dimensions > MAX_DIMENSIONS)
		reader.broken = true;
	for (uint64_t i = 0; i < dimensions && !reader.broken; i++)
	{
		count *= take_integer(&reader, 4);
		take_integer(&reader, 4); /* the first subscript */
		if (count > length / 4)	  /* a value has four bytes at least */
			reader.broken = true;
	}
	values = reader;
	for (uint64_t i = 0; i < count && !reader.broken; i++)
	{
		size_t bytes;

		if (take_field(&values, &bytes) != NULL && bytes != 8)
			values.broken = true;
		reader.broken |= values.broken;
	}
	row->value_count = (uint32_t) count;
	row->next = reader.next;
	row->end = reader.end;
	outer->broken |= reader.broken;
}

ExportPiece
export_format_read_row(const char *piece, size_t length, ExportRow *row)
{
	Reader reader = {piece, piece + length, false};
	const char *field;
	size_t bytes;
	int16_t fields;

	*row = (ExportRow){0};
	if (length >= HEADER_BYTES && memcmp(piece, signature, sizeof(signature)) == 0)
		reader.next += HEADER_BYTES;
	if (reader.next == reader.end)
		return EXPORT_PIECE_EDGE;
	fields = (int16_t) take_integer(&reader, 2);
	if (fields == -1)
		return EXPORT_PIECE_EDGE;
	field = take_field(&reader, &bytes);
	if (fields != 3 || field == NULL || bytes != 8)
		return EXPORT_PIECE_BROKEN;
	row->time_ns = (int64_t) take_integer(&(Reader){field, field + bytes, false}, 8);
	row->tag = take_field(&reader, &row->tag_length);
	field = take_field(&reader, &bytes);
	row->has_values = field != NULL;
	if (field != NULL)
		read_array(row, field, bytes, &reader);
	return row->tag == NULL || reader.broken ? EXPORT_PIECE_BROKEN : EXPORT_PIECE_ROW;
}

bool
export_format_next_value(ExportRow *row, double *value)
{
	Reader reader = {row->next, row->end, false};
	size_t bytes;
	const char *field = take_field(&reader, &bytes);
	uint64_t bits;

	row->next = reader.next;
	if (field == NULL)
		return false;
	bits = take_integer(&(Reader){field, field + bytes, false}, 8);
	memcpy(value, &bits, sizeof(bits));
	return true;
}
