/*
 * row_batch.h
 *	  Decoded rows that are loaded in one transaction, and what was rejected among them.
 */
#ifndef HISTORIAN_ROW_BATCH_H
#define HISTORIAN_ROW_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/message_scan.h"
#include "ingest/stage.h"

typedef struct RowBatch
{
	Stage stage;
	uint64_t *lines; /* where each row of the stage began in the input, from 1 */
	size_t line_count;
	size_t line_capacity;
	Bytes rejects; /* as lines of the rejects file */
	uint64_t reject_count;
	Bytes new_tags; /* tags that had no row before, as an array for PostgreSQL without its end */
	uint64_t begin_offset; /* of the input: the batch is what lies between these */
	uint64_t end_offset;
	uint64_t end_line; /* the number of the line at end_offset */
	bool last;
	const char *wrong; /* why the input ends here, though it does not; NULL: nothing is */
} RowBatch;

extern void row_batch_clear(RowBatch *batch);
extern void row_batch_free(RowBatch *batch);

/* Notes the line of the rows that were added to the stage since the last call. */
extern void row_batch_note_lines(RowBatch *batch, uint64_t line);

/* Rejects a record of the input; text is as much of it as is worth keeping. */
extern void row_batch_reject_record(RowBatch *batch, uint64_t line, const MessageError *error,
									const char *text, size_t length);

/* Rejects a decoded row. */
extern void row_batch_reject_row(RowBatch *batch, uint64_t line, const StagedMessage *row,
								 const char *sqlstate, const char *message);

/* Appends the row as a JSON object without its closing brace. */
extern void row_batch_put_json(Bytes *out, const StagedMessage *row);

#endif /* HISTORIAN_ROW_BATCH_H */
