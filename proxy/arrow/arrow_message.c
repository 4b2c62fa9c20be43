/*
 * arrow_message.c
 *	  The messages of an Apache Arrow IPC stream.
 *
 * The head of a message is a FlatBuffer.  The tables below have their fields in the order of
 * Arrow's Message.fbs and Schema.fbs, which is a part of the format, as are the numbers.
 */
#include "arrow/arrow_message.h"

#include "arrow/flatbuffer.h"

#include <endian.h>

#define REFERENCE FLATBUFFER_REFERENCE

#define HEAD_ALIGNMENT	 8
#define BUFFER_ALIGNMENT 64 /* what Arrow recommends, for processors' vector instructions */
#define CONTINUATION	 UINT32_MAX
#define VERSION_5		 4

enum MessageField
{
	MESSAGE_VERSION,
	MESSAGE_HEADER_TYPE,
	MESSAGE_HEADER,
	MESSAGE_BODY_LENGTH,
};

static const uint8_t message_fields[] = {2, 1, REFERENCE, 8};

enum HeaderType
{
	HEADER_SCHEMA = 1,
	HEADER_RECORD_BATCH = 3,
};

enum SchemaField
{
	SCHEMA_ENDIANNESS,
	SCHEMA_FIELDS,
};

static const uint8_t schema_fields[] = {2, REFERENCE};

enum FieldField
{
	FIELD_NAME,
	FIELD_NULLABLE,
	FIELD_TYPE_TYPE,
	FIELD_TYPE,
	FIELD_DICTIONARY,
	FIELD_CHILDREN,
};

static const uint8_t field_fields[] = {REFERENCE, 1, 1, REFERENCE, 0, REFERENCE};

enum TypeType
{
	TYPE_INT = 2,
	TYPE_FLOATING_POINT = 3,
	TYPE_UTF8 = 5,
	TYPE_TIMESTAMP = 10,
};

#define PRECISION_DOUBLE 2

static const uint8_t int_fields[] = {4, 1}; /* bits, and whether it has a sign */
static const uint8_t floating_point_fields[] = {2};
static const uint8_t timestamp_fields[] = {2, REFERENCE};

enum BatchField
{
	BATCH_LENGTH,
	BATCH_NODES,
	BATCH_BUFFERS,
};

static const uint8_t batch_fields[] = {8, REFERENCE, REFERENCE};

/* Structs of two numbers of 8 bytes: rows and NULLs of a field; place and length of a buffer. */
#define PAIR_BYTES 16

#define COUNT(array) ((int) (sizeof(array) / sizeof((array)[0])))

static void put_type(Bytes *head, size_t field, const ArrowField *description);
static size_t put_message(Bytes *head, enum HeaderType type, const uint8_t *fields, int count,
						  uint64_t body_bytes);
static void put_head(Bytes *out, Bytes *head);
static void put32(Bytes *out, uint32_t value);

static size_t
padded(size_t length)
{
	return (length + BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT;
}

void
arrow_message_schema(Bytes *out, const ArrowField *fields, int count)
{
	Bytes head = {0};
	size_t schema = put_message(&head, HEADER_SCHEMA, schema_fields, COUNT(schema_fields), 0);
	size_t vector;

	flatbuffer_set(&head, flatbuffer_field(&head, schema, SCHEMA_ENDIANNESS),
				   __BYTE_ORDER == __BIG_ENDIAN, 2);
	vector = flatbuffer_vector(&head, flatbuffer_field(&head, schema, SCHEMA_FIELDS),
							   (uint32_t) count, REFERENCE);
	for (int i = 0; i < count; i++)
	{
		size_t field = flatbuffer_table(&head, vector + (size_t) i * REFERENCE, field_fields,
										COUNT(field_fields));

		flatbuffer_string(&head, flatbuffer_field(&head, field, FIELD_NAME), fields[i].name);
		flatbuffer_set(&head, flatbuffer_field(&head, field, FIELD_NULLABLE), fields[i].nullable,
					   1);
		put_type(&head, field, &fields[i]);
		/* Some readers want the vector although it is empty. */
		flatbuffer_vector(&head, flatbuffer_field(&head, field, FIELD_CHILDREN), 0, REFERENCE);
	}
	put_head(out, &head);
}

/* The number of a timestamp's unit: 0 for seconds, to 3 for nanoseconds. */
static uint64_t
unit_number(int64_t unit_ns)
{
	uint64_t number = 3;

	for (; unit_ns > 1; unit_ns /= 1000)
		number--;
	return number;
}

static void
put_type(Bytes *head, size_t field, const ArrowField *description)
{
	static const uint8_t type_types[] = {
		[ARROW_TIMESTAMP] = TYPE_TIMESTAMP,
		[ARROW_INT64] = TYPE_INT,
		[ARROW_UTF8] = TYPE_UTF8,
		[ARROW_FLOAT64] = TYPE_FLOATING_POINT,
	};
	size_t reference = flatbuffer_field(head, field, FIELD_TYPE);
	size_t table;

	flatbuffer_set(head, flatbuffer_field(head, field, FIELD_TYPE_TYPE),
				   type_types[description->type], 1);
	switch (description->type)
	{
		case ARROW_TIMESTAMP:
			table = flatbuffer_table(head, reference, timestamp_fields, COUNT(timestamp_fields));
			flatbuffer_set(head, flatbuffer_field(head, table, 0),
						   unit_number(description->unit_ns), 2);
			flatbuffer_string(head, flatbuffer_field(head, table, 1), "UTC");
			break;
		case ARROW_INT64:
			table = flatbuffer_table(head, reference, int_fields, COUNT(int_fields));
			flatbuffer_set(head, flatbuffer_field(head, table, 0), 64, 4);
			flatbuffer_set(head, flatbuffer_field(head, table, 1), true, 1);
			break;
		case ARROW_UTF8:
			flatbuffer_table(head, reference, NULL, 0);
			break;
		case ARROW_FLOAT64:
			table = flatbuffer_table(head, reference, floating_point_fields,
									 COUNT(floating_point_fields));
			flatbuffer_set(head, flatbuffer_field(head, table, 0), PRECISION_DOUBLE, 2);
			break;
	}
}

void
arrow_message_batch(Bytes *out, int64_t rows, const int64_t *nulls_of_fields, int fields,
					const ArrowBuffer *buffers, int buffer_count)
{
	Bytes head = {0};
	size_t body_bytes = 0;
	size_t batch;
	size_t vector;

	for (int i = 0; i < buffer_count; i++)
		body_bytes += padded(buffers[i].length);
	batch = put_message(&head, HEADER_RECORD_BATCH, batch_fields, COUNT(batch_fields), body_bytes);
	flatbuffer_set(&head, flatbuffer_field(&head, batch, BATCH_LENGTH), (uint64_t) rows, 8);

	vector = flatbuffer_vector(&head, flatbuffer_field(&head, batch, BATCH_NODES),
							   (uint32_t) fields, PAIR_BYTES);
	for (int i = 0; i < fields; i++, vector += PAIR_BYTES)
	{
		flatbuffer_set(&head, vector, (uint64_t) rows, 8);
		flatbuffer_set(&head, vector + 8, (uint64_t) nulls_of_fields[i], 8);
	}

	vector = flatbuffer_vector(&head, flatbuffer_field(&head, batch, BATCH_BUFFERS),
							   (uint32_t) buffer_count, PAIR_BYTES);
	body_bytes = 0;
	for (int i = 0; i < buffer_count; i++, vector += PAIR_BYTES)
	{
		flatbuffer_set(&head, vector, body_bytes, 8);
		flatbuffer_set(&head, vector + 8, buffers[i].length, 8);
		body_bytes += padded(buffers[i].length);
	}
	put_head(out, &head);

	bytes_reserve(out, body_bytes);
	for (int i = 0; i < buffer_count; i++)
	{
		static const char zeros[BUFFER_ALIGNMENT];

		bytes_append(out, buffers[i].data, buffers[i].length);
		bytes_append(out, zeros, padded(buffers[i].length) - buffers[i].length);
	}
}

void
arrow_message_end(Bytes *out)
{
	put32(out, CONTINUATION);
	put32(out, 0);
}

/* Begins the head of a message, and returns its header, which is a table with these fields. */
static size_t
put_message(Bytes *head, enum HeaderType type, const uint8_t *fields, int count,
			uint64_t body_bytes)
{
	size_t message =
		flatbuffer_table(head, flatbuffer_begin(head), message_fields, COUNT(message_fields));

	flatbuffer_set(head, flatbuffer_field(head, message, MESSAGE_VERSION), VERSION_5, 2);
	flatbuffer_set(head, flatbuffer_field(head, message, MESSAGE_HEADER_TYPE), type, 1);
	flatbuffer_set(head, flatbuffer_field(head, message, MESSAGE_BODY_LENGTH), body_bytes, 8);
	return flatbuffer_table(head, flatbuffer_field(head, message, MESSAGE_HEADER), fields, count);
}

/* Appends the finished head of a message, and frees it. */
static void
put_head(Bytes *out, Bytes *head)
{
	flatbuffer_align(head, HEAD_ALIGNMENT);
	put32(out, CONTINUATION);
	put32(out, (uint32_t) head->length);
	bytes_append(out, head->data, head->length);
	bytes_free(head);
}

/* Numbers outside of FlatBuffers are little-endian as well. */
static void
put32(Bytes *out, uint32_t value)
{
	value = htole32(value);
	bytes_append(out, &value, sizeof(value));
}
