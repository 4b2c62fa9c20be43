/*
 * batch_reader.h
 *	  Makes batches of rows of an input, in a thread of its own.
 *
 * There are two batches: while one is loaded, the other is filled.
 */
#ifndef HISTORIAN_BATCH_READER_H
#define HISTORIAN_BATCH_READER_H

#include "decoder.h"
#include "input.h"
#include "row_batch.h"

typedef struct BatchReader BatchReader;

typedef struct BatchLimits
{
	uint64_t rows;
	uint64_t bytes; /* of the rows in memory */
} BatchLimits;

/* Where an import is resumed: offset is that of a record in the input, and line its number. */
typedef struct BatchPlace
{
	uint64_t offset; /* 0: it is not resumed */
	uint64_t line;
} BatchPlace;

/* Reads the header, and begins at the place.  If the header is wrong, ends the program. */
extern BatchReader *batch_reader_open(Input *input, Decoder *decoder, const BatchLimits *limits,
									  const BatchPlace *place);

/* Returns the next batch, which is the caller's until the next call.  The last one says that it is. */
extern RowBatch *batch_reader_next(BatchReader *reader);

extern void batch_reader_close(BatchReader *reader);

#endif /* HISTORIAN_BATCH_READER_H */
