/*
 * arrow_message.h
 *	  The messages of an Apache Arrow IPC stream: the schema once, record batches, the end.
 *
 * A stream that has no end marker is not whole.  See "Serialization and Interprocess Communication"
 * in Arrow's columnar format.
 */
#ifndef HISTORIAND_ARROW_MESSAGE_H
#define HISTORIAND_ARROW_MESSAGE_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

#define ARROW_CONTENT_TYPE "application/vnd.apache.arrow.stream"

typedef enum ArrowType
{
	ARROW_TIMESTAMP, /* int64, since 1970 in UTC */
	ARROW_INT64,
	ARROW_UTF8, /* with offsets of 32 bits */
	ARROW_FLOAT64,
} ArrowType;

typedef struct ArrowField
{
	const char *name; /* UTF-8 */
	ArrowType type;
	int64_t unit_ns; /* of ARROW_TIMESTAMP: of a second, or a thousandth of one, and so on to 1 */
	bool nullable;
} ArrowField;

typedef struct ArrowBuffer
{
	const void *data;
	size_t length;
} ArrowBuffer;

extern void arrow_message_schema(Bytes *out, const ArrowField *fields, int count);

/*
 * Appends a batch of so many rows.  A field has the buffers that Arrow gives its type, in that
 * order: validity (of length 0 where no row is NULL); offsets of ARROW_UTF8; data.
 */
extern void arrow_message_batch(Bytes *out, int64_t rows, const int64_t *nulls_of_fields,
								int fields, const ArrowBuffer *buffers, int buffer_count);
extern void arrow_message_end(Bytes *out);

#endif /* HISTORIAND_ARROW_MESSAGE_H */
