/*
 * set_aside.c
 *	  Rows that are loaded after others, because some of them are likely to be refused.
 *
 * There are two parts at most: "front", which is being loaded and has the rows that were set aside
 * first, and "back", to which rows are added until it becomes the front.  A row whose tag is in one
 * of the parts is added to the back.  So the later one of two rows with the same tag is never
 * loaded before the earlier one:
 *		rows loaded < front < back < batches, which have no tag of either
 *
 * No file of the spool is loaded while rows are set aside: a file is removed after it was loaded,
 * and its rows that were set aside would then be in memory alone.  When the process ends, the parts
 * are written to the spool under numbers lower than those of all files, so that the next process
 * loads them first.
 */
#include "load/set_aside.h"

#include "base/memory.h"

#include <stdlib.h>

typedef struct Part
{
	IngestBatch *batch;
	uint64_t done;	   /* so many of its rows are loaded or rejected */
	uint64_t number;   /* of the part on the commit board */
	uint64_t sequence; /* its number in the spool */
	uint32_t ticket;   /* of the row that was added last */
} Part;

struct SetAside
{
	Ingest *ingest;
	Backlog *backlog;
	CommitBoard *board;
	Part front; /* its batch is NULL if there is none, as that of the back */
	Part back;
	uint64_t last_number;
};

SetAside *
set_aside_new(Ingest *ingest, Backlog *backlog, CommitBoard *board)
{
	SetAside *aside = memory_new(sizeof(SetAside));

	aside->ingest = ingest;
	aside->backlog = backlog;
	aside->board = board;
	return aside;
}

/* Returns the back, which is made if there is none, for rows of this batch. */
static Part *
make_back(SetAside *aside, const IngestBatch *batch)
{
	Part *back = &aside->back;

	if (back->batch == NULL)
	{
		back->batch = memory_new(sizeof(IngestBatch));
		back->batch->rows = batch_new(NULL);
		back->batch->slot_ms = batch->slot_ms;
		back->batch->first_ms = batch->first_ms;
		back->batch->earlier_ms = batch->earlier_ms;
		back->number = ++aside->last_number;
		commit_begin_part(aside->board, back->number);
		back->sequence = backlog_aside_sequence(aside->backlog);
	}
	return back;
}

static void
add_row(SetAside *aside, const IngestBatch *batch, const BatchCursor *cursor, const BatchRow *row)
{
	Part *back = make_back(aside, batch);
	uint32_t ticket = batch_cursor_ticket(cursor);

	batch_add_row(back->batch->rows, cursor, row);
	if (ticket != back->ticket)
		commit_delay(aside->board, ticket, back->number);
	back->ticket = ticket;
}

static size_t
back_bytes(const SetAside *aside)
{
	return aside->back.batch != NULL ? batch_bytes(aside->back.batch->rows) : 0;
}

static int
by_number(const void *a, const void *b)
{
	uint32_t first = *(const uint32_t *) a;
	uint32_t second = *(const uint32_t *) b;

	return (first > second) - (first < second);
}

/* Returns how many tickets the refused rows have, and these in order, which the caller frees. */
static size_t
refused_tickets(const Batch *rows, const Refusals *refusals, uint32_t **tickets)
{
	RefusedRows refused = refused_rows(refusals, rows);
	const RefusalReason *reason;
	size_t count = 0;

	*tickets = memory_new_raw((refusals->count + 1) * sizeof(uint32_t));
	while (refused_rows_next(&refused, &reason) != NULL)
	{
		uint32_t ticket = batch_cursor_ticket(&refused.cursor);

		if (count == 0 || (*tickets)[count - 1] != ticket)
			(*tickets)[count++] = ticket;
	}
	qsort(*tickets, count, sizeof(uint32_t), by_number);
	return count;
}

/*
 * Finds the tags whose rows are set aside: the tag of the first row that was left out, and the tags
 * of requests that had rows refused.  Requests are told apart by their tickets.  Those for whose
 * commit no client waits all have ticket 0, so that they are not suspected in the first round.  In
 * the third round all tags are: otherwise many clients with bad rows could keep the others
 * waiting.  The caller frees the array.
 */
static bool *
suspected_tags(const Batch *rows, uint64_t end, const Refusals *refusals, int round)
{
	bool *suspected = memory_new(batch_tags(rows) * sizeof(bool));
	uint32_t *tickets;
	size_t count = refused_tickets(rows, refusals, &tickets);
	bool all = true;
	BatchCursor cursor;

	batch_cursor_seek(&cursor, rows, end);
	while (batch_cursor_next(&cursor) != NULL)
	{
		uint32_t ticket = batch_cursor_ticket(&cursor);

		if (all || ((ticket != 0 || round > 0) &&
					bsearch(&ticket, tickets, count, sizeof(uint32_t), by_number) != NULL))
			suspected[cursor.tag_index] = true;
		all = round >= 2;
	}
	free(tickets);
	return suspected;
}

void
set_aside_suspects(SetAside *aside, IngestBatch *batch, uint64_t end, const Refusals *refusals,
				   int round)
{
	size_t bytes = back_bytes(aside);
	Batch *others = batch_new(NULL);
	bool *suspected = suspected_tags(batch->rows, end, refusals, round);
	BatchCursor cursor;
	const BatchRow *row;

	batch_cursor_seek(&cursor, batch->rows, end);
	while ((row = batch_cursor_next(&cursor)) != NULL)
		if (suspected[cursor.tag_index])
			add_row(aside, batch, &cursor, row);
		else
			batch_add_row(others, &cursor, row);
	batch_close(others);
	free(suspected);
	ingest_unreserve(aside->ingest, batch_bytes(batch->rows));
	ingest_add(aside->ingest, batch_bytes(others) + back_bytes(aside) - bytes);
	batch_free(batch->rows);
	batch->rows = others;
}

static bool
has_tag(const Part *part, const BatchCursor *cursor)
{
	return part->batch != NULL && batch_has_tag_of(part->batch->rows, cursor);
}

void
set_aside_followers(SetAside *aside, IngestBatch *batch)
{
	size_t bytes = back_bytes(aside);
	BatchCursor cursor;
	const BatchRow *row;
	uint32_t tag = UINT32_MAX;
	bool follows = false;

	if (aside->front.batch == NULL && aside->back.batch == NULL)
		return;
	batch_cursor_seek(&cursor, batch->rows, 0);
	while ((row = batch_cursor_next(&cursor)) != NULL)
	{
		if (cursor.tag_index != tag)
		{
			tag = cursor.tag_index;
			follows = has_tag(&aside->front, &cursor) || has_tag(&aside->back, &cursor);
		}
		if (!follows)
			continue;
		add_row(aside, batch, &cursor, row);
		batch_forget(batch->rows, &cursor);
	}
	ingest_add(aside->ingest, back_bytes(aside) - bytes);
}

bool
set_aside_empty(const SetAside *aside)
{
	return aside->front.batch == NULL && aside->back.batch == NULL;
}

IngestBatch *
set_aside_next(SetAside *aside, uint64_t *first)
{
	if (aside->front.batch == NULL)
	{
		aside->front = aside->back;
		aside->back = (Part){0};
		if (aside->front.batch != NULL)
			batch_close(aside->front.batch->rows);
	}
	*first = aside->front.done;
	return aside->front.batch;
}

void
set_aside_done(SetAside *aside, uint64_t end)
{
	Part *front = &aside->front;

	front->done = end;
	if (end < batch_rows(front->batch->rows))
		return;
	commit_settle(aside->board, front->number);
	ingest_release(aside->ingest, front->batch);
	*front = (Part){0};
}

uint64_t
set_aside_rows(const SetAside *aside)
{
	uint64_t rows = 0;

	if (aside->front.batch != NULL)
		rows += batch_rows(aside->front.batch->rows) - aside->front.done;
	if (aside->back.batch != NULL)
		rows += batch_rows(aside->back.batch->rows);
	return rows;
}

uint64_t
set_aside_age_ms(const SetAside *aside, uint64_t now_ms)
{
	const Part *oldest = aside->front.batch != NULL ? &aside->front : &aside->back;

	return oldest->batch != NULL ? ingest_age_ms(oldest->batch, now_ms) : 0;
}

uint64_t
set_aside_save(SetAside *aside)
{
	uint64_t lost = 0;
	const Part *front = &aside->front;

	if (front->batch != NULL)
	{
		IngestBatch rest = *front->batch;
		BatchCursor cursor;
		const BatchRow *row;

		rest.rows = batch_new(NULL);
		batch_cursor_seek(&cursor, front->batch->rows, front->done);
		while ((row = batch_cursor_next(&cursor)) != NULL)
			batch_add_row(rest.rows, &cursor, row);
		batch_close(rest.rows);
		lost += backlog_save_at(aside->backlog, &rest, front->sequence);
		batch_free(rest.rows);
	}
	if (aside->back.batch != NULL)
		batch_close(aside->back.batch->rows);
	if (aside->back.batch != NULL)
		lost += backlog_save_at(aside->backlog, aside->back.batch, aside->back.sequence);
	return lost;
}
