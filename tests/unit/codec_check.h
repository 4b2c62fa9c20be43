/*
 * codec_check.h
 *	  Compares a block with the rows it was made of; reads all of a block that may be corrupt.
 */
#ifndef CODEC_CHECK_H
#define CODEC_CHECK_H

#include "codec/codec.h"

/*
 * Opens a copy of the block that ends where its memory ends, and compares everything that can be
 * read from it with the first nrows rows.  NULL if all is well, or what is not.
 */
extern const char *codec_check_block(const CodecRows *rows, uint32_t nrows, const uint8_t *block,
									 size_t length);

/*
 * Reads whatever the block seems to have, for the sake of sanitizers; what it reads does not
 * matter.  NULL if row numbers and widths are within their limits.
 */
extern const char *codec_exercise_block(const uint8_t *block, size_t length, uint32_t nrows);

#endif /* CODEC_CHECK_H */
