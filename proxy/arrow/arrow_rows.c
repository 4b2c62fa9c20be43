/*
 * arrow_rows.c
 *	  Rows (time, tag, values) as an Apache Arrow IPC stream, with a column for each value.
 *
 * Rows wait in columns until they are a batch: its size in bytes is bounded, whatever the number of
 * columns.  Memory for them is allocated with the first row.
 *
 * Tags are plain strings.  A dictionary would make them shorter, but a stream learns tags as it goes
 * on, and readers differ in what they do with a dictionary that grows.
 */
#include "arrow/arrow_rows.h"

#include "base/assert.h"
#include "base/timestamp.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES	   524288
#define MAX_BATCH_ROWS 65536

#define COPY_HEADER_BYTES 19 /* the signature, flags, and the length of nothing more */
#define FIELD_NULL		  (-1)

static const char copy_signature[11] = "PGCOPY\n\377\r\n";

#define OWN_COLUMNS 2 /* time and tag, before those of values */

/* Columns are arrays of `capacity` rows. */
struct ArrowRows
{
	int value_columns;
	int64_t unit_ns;
	size_t capacity;
	size_t count; /* rows that wait */
	int64_t *times;
	int32_t *tag_ends; /* tag_ends[i] is where the tag of row i - 1 ends, in tags */
	Bytes tags;
	uint64_t *values; /* one column after the other; bits of doubles, 0 for NULL */
	uint8_t *valid;	  /* one column after the other; a bit for each row, once a row is NULL */
	int64_t *nulls;	  /* how many rows are NULL, by column, time and tag included */
};

/* A piece of a COPY that is being read. */
typedef struct Reader
{
	const char *next;
	const char *end;
} Reader;

/* What historian.value_bytes() has made of the values of a row. */
typedef struct Values
{
	const char *bytes;	 /* NULL: there is no array */
	const uint8_t *bits; /* NULL: no value is NULL */
} Values;

static bool read_field(Reader *reader, const char **field, int32_t *length);
static bool read_values(const ArrowRows *rows, Reader *reader, Values *values);
static void add_row(ArrowRows *rows, int64_t time_ns, const char *tag, size_t tag_length,
					const Values *values);
static void put_batch(ArrowRows *rows, Bytes *out);

static inline uint32_t
get32(const char *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return be32toh(value);
}

static inline uint64_t
get64(const char *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
	return be64toh(value);
}

static inline size_t
bitmap_bytes(size_t rows)
{
	return (rows + 7) / 8;
}

ArrowRows *
arrow_rows_new(const char *const *names, int count, ArrowTimes times, Bytes *out)
{
	ArrowRows *rows = memory_new(sizeof(ArrowRows));
	ArrowField *fields = memory_new(sizeof(ArrowField) * (OWN_COLUMNS + (size_t) count));
	size_t row_bytes =
		sizeof(*rows->times) + sizeof(*rows->tag_ends) + sizeof(*rows->values) * (size_t) count;

	rows->value_columns = count;
	rows->unit_ns = times.unit_ns;
	rows->capacity = BATCH_BYTES / row_bytes;
	if (rows->capacity > MAX_BATCH_ROWS)
		rows->capacity = MAX_BATCH_ROWS;
	if (rows->capacity == 0)
		rows->capacity = 1;
	rows->nulls = memory_new(sizeof(*rows->nulls) * (OWN_COLUMNS + (size_t) count));
	fields[0] =
		(ArrowField){"time", times.integers ? ARROW_INT64 : ARROW_TIMESTAMP, times.unit_ns, false};
	fields[1] = (ArrowField){"tag", ARROW_UTF8, 0, false};
	for (int i = 0; i < count; i++)
		fields[OWN_COLUMNS + i] = (ArrowField){names[i], ARROW_FLOAT64, 0, true};
	arrow_message_schema(out, fields, OWN_COLUMNS + count);
	free(fields);
	return rows;
}

static void
allocate(ArrowRows *rows)
{
	size_t columns = (size_t) rows->value_columns;

	rows->times = memory_new_raw(sizeof(*rows->times) * rows->capacity);
	rows->tag_ends = memory_new_raw(sizeof(*rows->tag_ends) * (rows->capacity + 1));
	rows->tag_ends[0] = 0;
	rows->values = memory_new_raw(sizeof(*rows->values) * rows->capacity * columns);
	rows->valid = memory_new_raw(bitmap_bytes(rows->capacity) * columns);
}

bool
arrow_rows_take(ArrowRows *rows, const char *piece, size_t length, Bytes *out)
{
	Reader reader = {piece, piece + length};
	const char *time;
	const char *tag;
	int32_t time_length;
	int32_t tag_length;
	Values values;
	int16_t fields;

	if (length >= COPY_HEADER_BYTES && memcmp(piece, copy_signature, sizeof(copy_signature)) == 0)
		reader.next += COPY_HEADER_BYTES;
	if (reader.next == reader.end)
		return true;
	if (reader.end - reader.next < 2)
		return false;
	memcpy(&fields, reader.next, sizeof(fields));
	reader.next += sizeof(fields);
	fields = (int16_t) be16toh((uint16_t) fields);
	if (fields == -1)
		return true;
	if (fields != 3 || !read_field(&reader, &time, &time_length) || time_length != 8 ||
		!read_field(&reader, &tag, &tag_length) || tag_length == FIELD_NULL ||
		!read_values(rows, &reader, &values))
		return false;
	add_row(rows, (int64_t) get64(time), tag, (size_t) tag_length, &values);
	if (rows->count == rows->capacity || rows->tags.length >= BATCH_BYTES)
		put_batch(rows, out);
	return true;
}

/* Reads the next field, whose length is FIELD_NULL if it is NULL. */
static bool
read_field(Reader *reader, const char **field, int32_t *length)
{
	if (reader->end - reader->next < 4)
		return false;
	*length = (int32_t) get32(reader->next);
	reader->next += 4;
	*field = reader->next;
	if (*length == FIELD_NULL)
		return true;
	if (*length < 0 || reader->end - reader->next < *length)
		return false;
	reader->next += *length;
	return true;
}

static bool
read_values(const ArrowRows *rows, Reader *reader, Values *values)
{
	size_t bytes = sizeof(*rows->values) * (size_t) rows->value_columns;
	int32_t length;

	*values = (Values){0};
	if (!read_field(reader, &values->bytes, &length))
		return false;
	if (length == FIELD_NULL)
	{
		values->bytes = NULL;
		return true;
	}
	if ((size_t) length == bytes)
		return true;
	values->bits = (const uint8_t *) values->bytes + bytes;
	return (size_t) length == bytes + bitmap_bytes((size_t) rows->value_columns);
}

static void
put_null(ArrowRows *rows, int column)
{
	size_t row = rows->count;
	uint8_t *valid = rows->valid + bitmap_bytes(rows->capacity) * (size_t) column;

	rows->values[rows->capacity * (size_t) column + row] = 0;
	if (rows->nulls[OWN_COLUMNS + column]++ == 0)
		memset(valid, UINT8_MAX, bitmap_bytes(rows->capacity));
	valid[row / 8] &= (uint8_t) ~(1u << row % 8);
}

static void
add_row(ArrowRows *rows, int64_t time_ns, const char *tag, size_t tag_length, const Values *values)
{
	uint64_t *value;

	if (rows->times == NULL)
		allocate(rows);
	rows->times[rows->count] =
		rows->unit_ns == 1 ? time_ns : timestamp_in_unit(time_ns, rows->unit_ns);
	bytes_append(&rows->tags, tag, tag_length);
	rows->tag_ends[rows->count + 1] = (int32_t) rows->tags.length;
	value = rows->values + rows->count;
	for (int i = 0; i < rows->value_columns; i++, value += rows->capacity)
	{
		bool null =
			values->bytes == NULL || (values->bits != NULL && !(values->bits[i / 8] >> i % 8 & 1));

		if (null)
			put_null(rows, i);
		else
			*value = get64(values->bytes + sizeof(*value) * (size_t) i);
	}
	rows->count++;
}

/* Appends the rows that wait as a batch. */
static void
put_batch(ArrowRows *rows, Bytes *out)
{
	int columns = OWN_COLUMNS + rows->value_columns;
	int buffer_count = 2 * columns + 1; /* the tag has three */
	ArrowBuffer *buffers = memory_new(sizeof(ArrowBuffer) * (size_t) buffer_count);
	ArrowBuffer *next = buffers;

	next[1] = (ArrowBuffer){rows->times, sizeof(*rows->times) * rows->count};
	next[3] = (ArrowBuffer){rows->tag_ends, sizeof(*rows->tag_ends) * (rows->count + 1)};
	next[4] = (ArrowBuffer){rows->tags.data, rows->tags.length};
	next += 5;
	for (size_t i = 0; i < (size_t) rows->value_columns; i++, next += 2)
	{
		if (rows->nulls[OWN_COLUMNS + i] > 0)
			next[0] = (ArrowBuffer){rows->valid + bitmap_bytes(rows->capacity) * i,
									bitmap_bytes(rows->count)};
		next[1] =
			(ArrowBuffer){rows->values + rows->capacity * i, sizeof(*rows->values) * rows->count};
	}
	ASSERT(next == buffers + buffer_count);
	arrow_message_batch(out, (int64_t) rows->count, rows->nulls, columns, buffers, buffer_count);
	free(buffers);
	rows->count = 0;
	rows->tags.length = 0;
	memset(rows->nulls, 0, sizeof(*rows->nulls) * (size_t) columns);
}

void
arrow_rows_end(ArrowRows *rows, Bytes *out)
{
	if (rows->count > 0)
		put_batch(rows, out);
	arrow_message_end(out);
}

size_t
arrow_rows_memory(const ArrowRows *rows)
{
	size_t columns = (size_t) rows->value_columns;

	if (rows->times == NULL)
		return 0;
	return rows->capacity *
			   (sizeof(*rows->times) + sizeof(*rows->tag_ends) + sizeof(*rows->values) * columns) +
		   bitmap_bytes(rows->capacity) * columns + rows->tags.capacity;
}

void
arrow_rows_free(ArrowRows *rows)
{
	if (rows == NULL)
		return;
	free(rows->times);
	free(rows->tag_ends);
	bytes_free(&rows->tags);
	free(rows->values);
	free(rows->valid);
	free(rows->nulls);
	free(rows);
}
