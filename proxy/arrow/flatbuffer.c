/*
 * flatbuffer.c
 *	  FlatBuffers, written from front to back.
 */
#include "arrow/flatbuffer.h"

#include "base/assert.h"

#include <string.h>

#define VTABLE_HEAD_BYTES 4 /* its own length, and that of the table */
#define TABLE_HEAD_BYTES  4 /* the distance back to the vtable */
#define LENGTH_BYTES	  4 /* what precedes the elements of a vector */

static size_t
append_zeros(Bytes *buffer, size_t count)
{
	size_t position = buffer->length;

	memset(bytes_reserve(buffer, count), 0, count);
	buffer->length += count;
	return position;
}

void
flatbuffer_align(Bytes *buffer, size_t alignment)
{
	append_zeros(buffer, (alignment - buffer->length % alignment) % alignment);
}

void
flatbuffer_set(Bytes *buffer, size_t position, uint64_t value, size_t bytes)
{
	ASSERT(position + bytes <= buffer->length);
	for (size_t i = 0; i < bytes; i++)
		buffer->data[position + i] = (char) (value >> (8 * i));
}

static uint16_t
get16(const Bytes *buffer, size_t position)
{
	const unsigned char *bytes = (const unsigned char *) buffer->data + position;

	ASSERT(position + 2 <= buffer->length);
	return (uint16_t) (bytes[0] | bytes[1] << 8);
}

/* Makes a reference refer to a position. */
static void
refer(Bytes *buffer, size_t reference, size_t position)
{
	flatbuffer_set(buffer, reference, position - reference, FLATBUFFER_REFERENCE);
}

size_t
flatbuffer_begin(Bytes *buffer)
{
	ASSERT(buffer->length == 0);
	return append_zeros(buffer, FLATBUFFER_REFERENCE);
}

size_t
flatbuffer_table(Bytes *buffer, size_t reference, const uint8_t *field_bytes, int fields)
{
	size_t vtable_bytes = VTABLE_HEAD_BYTES + 2 * (size_t) fields;
	size_t table_bytes = TABLE_HEAD_BYTES;
	size_t vtable;
	size_t table;

	/* The table is aligned for numbers of 8 bytes, and its vtable is just before it. */
	append_zeros(buffer, (8 - (buffer->length + vtable_bytes) % 8) % 8);
	vtable = append_zeros(buffer, vtable_bytes);
	table = buffer->length;
	for (int i = 0; i < fields; i++)
	{
		size_t bytes = field_bytes[i];

		if (bytes == 0)
			continue;
		table_bytes += (bytes - table_bytes % bytes) % bytes;
		flatbuffer_set(buffer, vtable + VTABLE_HEAD_BYTES + 2 * (size_t) i, table_bytes, 2);
		table_bytes += bytes;
	}
	append_zeros(buffer, table_bytes);
	flatbuffer_set(buffer, vtable, vtable_bytes, 2);
	flatbuffer_set(buffer, vtable + 2, table_bytes, 2);
	flatbuffer_set(buffer, table, vtable_bytes, TABLE_HEAD_BYTES);
	refer(buffer, reference, table);
	return table;
}

size_t
flatbuffer_field(const Bytes *buffer, size_t table, int field)
{
	size_t vtable = table - get16(buffer, table); /* see flatbuffer_table() */
	uint16_t offset = get16(buffer, vtable + VTABLE_HEAD_BYTES + 2 * (size_t) field);

	ASSERT(offset != 0);
	return table + offset;
}

size_t
flatbuffer_vector(Bytes *buffer, size_t reference, uint32_t count, size_t element_bytes)
{
	size_t vector;

	/* The elements are aligned for numbers of 8 bytes, and their count is just before them. */
	append_zeros(buffer, (8 - (buffer->length + LENGTH_BYTES) % 8) % 8);
	vector = append_zeros(buffer, LENGTH_BYTES);
	append_zeros(buffer, count * element_bytes);
	flatbuffer_set(buffer, vector, count, LENGTH_BYTES);
	refer(buffer, reference, vector);
	return vector + LENGTH_BYTES;
}

void
flatbuffer_string(Bytes *buffer, size_t reference, const char *text)
{
	size_t length = strlen(text);
	size_t elements = flatbuffer_vector(buffer, reference, (uint32_t) length, 1);

	memcpy(buffer->data + elements, text, length);
	append_zeros(buffer, 1); /* a NUL, which the length does not count */
}
