/*
 * batch.h
 *	  Messages accepted but not yet loaded, in the order of arrival until they are grouped by tag.
 *
 * A batch is filled, then closed, then only read, except that rows may be forgotten.  Rows are
 * numbered in the order in which they are loaded: by the tag's name, and by arrival within a tag.  So the later
 * one of two rows with the same tag and time is loaded later.
 */
#ifndef HISTORIAND_BATCH_H
#define HISTORIAND_BATCH_H

#include "ingest/stage.h"
#include "ingest/stream_name.h"
#include "ingest/tag_table.h"

typedef struct Batch Batch;

typedef struct BatchRow
{
	int64_t time_ns;
	uint32_t tag; /* its number in the table of tags */
	uint32_t value_count;
	double values[];
} BatchRow;

/* A batch with a table of tags that others share, or, with NULL, with one of its own. */
extern Batch *batch_new(TagTable *tags);
extern void batch_free(Batch *batch);

/*
 * Estimates the memory of messages in a batch from their size in a stage and their number of tags.
 */
extern size_t batch_estimate(size_t staged_bytes, uint64_t tags);

/* From whom rows are. */
typedef struct BatchSource
{
	uint32_t ticket;	/* of the request that waits for the rows' commit; 0: none does */
	StreamName *stream; /* NULL: the messages came without the name of a stream */
} BatchSource;

extern void batch_add(Batch *batch, const StagedMessage *message, BatchSource source);
/* Adds all messages of a stage. */
extern void batch_add_stage(Batch *batch, const Stage *stage, BatchSource source);

/*
 * Ends the filling: groups the rows by tag.  Does nothing if that was done before.  One thread at a time
 * may close batches of the same tags; others may add to later ones meanwhile.
 */
extern void batch_close(Batch *batch);
/* Does that take so long that it is to be left to a worker? */
extern bool batch_close_is_long(const Batch *batch);

extern uint64_t batch_rows(const Batch *batch);
/* Has it, or had it, rows of a stream with a name? */
extern bool batch_has_streams(const Batch *batch);
/* Of memory, not of rows.  It has a table of tags that is the batch's own, but no shared one. */
extern size_t batch_bytes(const Batch *batch);

/* All rows have tags of smaller numbers. */
extern uint32_t batch_tags(const Batch *batch);

/* A position in a closed batch. */
typedef struct BatchCursor
{
	const Batch *batch;
	uint64_t next;		/* place of the next row in the order of loading, with forgotten ones */
	uint32_t tag_index; /* this and the next: of the row that batch_cursor_next() returned */
	uint32_t tag_length;
	const char *tag; /* padded with zeros to 8 bytes */
} BatchCursor;

extern void batch_cursor_seek(BatchCursor *cursor, const Batch *batch, uint64_t row);
extern const BatchRow *batch_cursor_next(BatchCursor *cursor); /* NULL after the last row */
/* The source, or the ticket alone, of the row that batch_cursor_next() returned. */
extern BatchSource batch_cursor_source(const BatchCursor *cursor);
extern uint32_t batch_cursor_ticket(const BatchCursor *cursor);

/* Adds a copy of the row that another batch's cursor has returned. */
extern void batch_add_row(Batch *batch, const BatchCursor *cursor, const BatchRow *row);
/* Does the batch, whose table of tags is its own, have or had rows of the cursor's tag? */
extern bool batch_has_tag_of(const Batch *batch, const BatchCursor *cursor);
/* Removes the row that the cursor returned.  Cursors stay valid, and the memory stays. */
extern void batch_forget(Batch *batch, const BatchCursor *cursor);

#endif /* HISTORIAND_BATCH_H */
