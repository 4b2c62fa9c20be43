/*
 * batch.h
 *	  Messages accepted but not yet loaded, grouped by tag as they arrive.
 *
 * A batch is filled by ingest.c, and only read after it was closed, except that tags may be
 * forgotten.  Rows are numbered in the order in which they are loaded: by tag, in the order of the
 * tags' first rows, and by arrival within a tag.  So the later one of two rows with the same tag
 * and time is loaded later.
 */
#ifndef HISTORIAND_BATCH_H
#define HISTORIAND_BATCH_H

#include "ingest/stage.h"

typedef struct Batch Batch;

typedef struct BatchRow
{
	int64_t time_ns;
	uint32_t value_count;
	uint32_t ticket; /* of the request that waits for this row's commit; 0: none does */
	double values[];
} BatchRow;

extern Batch *batch_new(void);
extern void batch_free(Batch *batch);

/*
 * Estimates the memory of messages in a batch from their size in a stage and their number of tags.
 */
extern size_t batch_estimate(size_t staged_bytes, uint64_t tags);

/* The hash is keyed: it differs from process to process. */
extern uint64_t batch_hash_tag(const char *name, uint32_t length);

extern void batch_add(Batch *batch, const StagedMessage *message, uint32_t ticket);

/* Adds a copy of another batch's row; the tag is that of a BatchCursor, padded to 8 bytes. */
extern void batch_add_row(Batch *batch, const char *tag, uint32_t tag_length, const BatchRow *row);

/*
 * How many tags a batch has, numbered from 0, and whether it has the tag of that number in another
 * one.
 */
extern uint32_t batch_tags(const Batch *batch);
extern bool batch_shares_tag(const Batch *batch, const Batch *other, uint32_t tag);

/*
 * Removes a tag's rows.  The tag keeps its number, and the memory stays; cursors after it stay
 * valid.
 */
extern void batch_forget_tag(Batch *batch, uint32_t tag);

extern uint64_t batch_rows(const Batch *batch);
extern size_t batch_bytes(const Batch *batch); /* of memory, not of rows */

/* A position in a closed batch. */
typedef struct BatchCursor
{
	const Batch *batch;
	uint32_t tag_index;
	const struct BatchChunk *chunk;
	size_t offset;
	const char *tag; /* of the row that batch_cursor_next() returned */
	uint32_t tag_length;
} BatchCursor;

extern void batch_cursor_seek(BatchCursor *cursor, const Batch *batch, uint64_t row);
extern const BatchRow *batch_cursor_next(BatchCursor *cursor); /* NULL after the last row */

#endif /* HISTORIAND_BATCH_H */
