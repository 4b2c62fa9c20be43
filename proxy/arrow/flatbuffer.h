/*
 * flatbuffer.h
 *	  FlatBuffers, written from front to back.
 *
 * A reference is the distance to an object at a higher address.  So each object is appended after
 * the table or vector that refers to it, and the function that appends it also fills the reference
 * in.  All positions are counted from the beginning of the buffer, which is empty at first.
 *
 * The format is that of flatbuffers.dev/internals.
 */
#ifndef HISTORIAND_FLATBUFFER_H
#define HISTORIAND_FLATBUFFER_H

#include "base/memory.h"

#include <stdint.h>

#define FLATBUFFER_REFERENCE 4 /* bytes of a reference, also as a field of a table */

/* Begins the buffer, and returns the reference to its root. */
extern size_t flatbuffer_begin(Bytes *buffer);

/*
 * Appends a table with so many fields of 0 (it is left out), 1, 2, 4 or 8 bytes, all zero, and returns its
 * position.  flatbuffer_field() returns that of a field that is not left out.
 */
extern size_t flatbuffer_table(Bytes *buffer, size_t reference, const uint8_t *field_bytes,
							   int fields);
extern size_t flatbuffer_field(const Bytes *buffer, size_t table, int field);

/* Appends a vector of elements that are zero, and returns the position of the first one. */
extern size_t flatbuffer_vector(Bytes *buffer, size_t reference, uint32_t count,
								size_t element_bytes);
extern void flatbuffer_string(Bytes *buffer, size_t reference, const char *text);

/* Writes a number of so many bytes. */
extern void flatbuffer_set(Bytes *buffer, size_t position, uint64_t value, size_t bytes);

/* Appends zeros until the length is a multiple of alignment. */
extern void flatbuffer_align(Bytes *buffer, size_t alignment);

#endif /* HISTORIAND_FLATBUFFER_H */
