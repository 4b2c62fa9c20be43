/*
 * batch.h
 *	  Messages accepted but not yet loaded, grouped by tag as they arrive.
 *
 * A batch is filled by ingest.c, then closed and only read, but for tags that are forgotten.  Rows are numbered in load order: tags
 * in the order of their first row, within a tag the order of arrival, so that of two rows with the
 * same tag and time the later one is loaded later.
 */
#ifndef HISTORIAND_BATCH_H
#define HISTORIAND_BATCH_H

#include "ingest/stage.h"

typedef struct Batch Batch;

typedef struct BatchRow
{
	int64_t time_ns;
	uint32_t value_count;
	uint32_t ticket; /* who waits for this row's commit; 0: nobody */
	double values[];
} BatchRow;

extern Batch *batch_new(void);
extern void batch_free(Batch *batch);

/*
 * About what a batch takes for messages of so many bytes in a stage with so many different tags, where
 * all of them are new to it.
 */
extern size_t batch_estimate(size_t staged_bytes, uint64_t tags);

/* A keyed hash: it differs from process to process. */
extern uint64_t batch_hash_tag(const char *name, uint32_t length);

extern void batch_add(Batch *batch, const StagedMessage *message, uint32_t ticket);

/* A copy of another batch's row; the tag as batch_cursor_next() gives it. */
extern void batch_add_row(Batch *batch, const char *tag, uint32_t tag_length, const BatchRow *row);

/* Tags have numbers from 0.  Does batch have this tag of the other one? */
extern uint32_t batch_tags(const Batch *batch);
extern bool batch_shares_tag(const Batch *batch, const Batch *other, uint32_t tag);

/* A tag without rows stays, and the memory too; cursors beyond it may go on. */
extern void batch_forget_tag(Batch *batch, uint32_t tag);

extern uint64_t batch_rows(const Batch *batch);
extern size_t batch_bytes(const Batch *batch); /* of memory, not of rows */

/* A position in a batch that is no longer added to. */
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
extern const BatchRow *batch_cursor_next(BatchCursor *cursor); /* NULL past the last one */

#endif /* HISTORIAND_BATCH_H */
