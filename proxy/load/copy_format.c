/*
 * copy_format.c
 *	  PostgreSQL's COPY BINARY format for rows (time bigint, tag text, values float8[]).
 *
 * PostgreSQL's documentation of COPY has the format; that of arrays is array_send() in
 * arrayfuncs.c.  All integers are in network byte order.
 */
#include "load/copy_format.h"

#include "ingest/stage.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define FLOAT8_OID		   701
#define NULL_LENGTH		   UINT32_MAX /* -1: no value follows */
#define ARRAY_HEADER_BYTES 20		  /* dimensions, null flag, element type, size, lower bound */
#define EMPTY_ARRAY_BYTES  12		  /* the same without size and lower bound */

static inline char *
put16(char *out, uint16_t value)
{
	value = htobe16(value);
	memcpy(out, &value, sizeof(value));
	return out + sizeof(value);
}

static inline char *
put32(char *out, uint32_t value)
{
	value = htobe32(value);
	memcpy(out, &value, sizeof(value));
	return out + sizeof(value);
}

static inline char *
put64(char *out, uint64_t value)
{
	value = htobe64(value);
	memcpy(out, &value, sizeof(value));
	return out + sizeof(value);
}

void
copy_format_header(char *out)
{
	memcpy(out, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", COPY_HEADER_BYTES);
}

void
copy_format_trailer(char *out)
{
	put16(out, UINT16_MAX);
}

static inline uint32_t
array_bytes(uint32_t value_count)
{
	return value_count == 0 ? EMPTY_ARRAY_BYTES : ARRAY_HEADER_BYTES + value_count * 12;
}

size_t
copy_format_row_bytes(uint32_t value_count, uint32_t tag_length)
{
	return 2 + 12 + 4 + tag_length + 4 + array_bytes(value_count);
}

char *
copy_format_row(char *out, int64_t time_ns, const double *values, uint32_t value_count,
				const char *tag, uint32_t tag_length)
{
	char *array; /* begins with its length, its dimensions, and whether it has nulls */
	bool has_nulls = false;

	out = put16(out, 3);
	out = put32(out, 8);
	out = put64(out, (uint64_t) time_ns);
	out = put32(out, tag_length);
	memcpy(out, tag, tag_length);
	array = out + tag_length;
	out = put32(array, array_bytes(value_count));
	out = put32(out, value_count == 0 ? 0 : 1);
	out = put32(out, 0);
	out = put32(out, FLOAT8_OID);
	if (value_count == 0)
		return out;
	out = put32(out, value_count);
	out = put32(out, 1);
	for (uint32_t i = 0; i < value_count; i++)
	{
		uint64_t bits;

		memcpy(&bits, &values[i], sizeof(bits));
		if (__builtin_expect(bits == VALUE_NULL_BITS, 0))
		{
			out = put32(out, NULL_LENGTH);
			has_nulls = true;
			continue;
		}
		out = put32(out, 8);
		out = put64(out, bits);
	}
	if (has_nulls)
	{
		put32(array, (uint32_t) (out - array - 4));
		put32(array + 8, 1);
	}
	return out;
}

char *
copy_format_bundle_head(char *out, uint32_t table, uint32_t bundle_bytes)
{
	out = put16(out, 2);
	out = put32(out, sizeof(table));
	out = put32(out, table);
	return put32(out, bundle_bytes);
}
