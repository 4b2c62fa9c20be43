/*
 * edit.h
 *	  Changes of what is stored, such as deletions: each is a transaction that begins after all messages
 *	  that this process had accepted before are loaded.
 *
 * Edits belong to a loop, which executes one at a time, on a connection that it opens for it.
 */
#ifndef HISTORIAND_EDIT_H
#define HISTORIAND_EDIT_H

#include "base/config.h"
#include "database/query_queue.h"
#include "ingest/batch.h"
#include "ingest/commit.h"
#include "ingest/point_merge.h"

#include <uv.h>

typedef struct Edits Edits;
typedef struct Edit Edit;

typedef struct EditOutcome
{
	bool committed;		/* on the synchronous standby too, where there is one */
	const char *answer; /* the second value of the statement that has two */
	uint64_t position;	/* of the WAL, which has the commit before it; 0: not known */
	/* Why it is not committed, or not known to be. */
	QueryOutcome failure;
	bool of_row; /* a row that was given is to blame */
} EditOutcome;

/* Called once, from the loop, never from within edits_submit(). */
typedef void (*EditCallback)(void *argument, const EditOutcome *outcome);

/*
 * waiters is the queue of the loop, in which edits wait for what was accepted before.  The points are
 * forgotten after an edit, so that later fields of theirs do not bring the former ones back.
 * wake(argument) has the loop look at the queue soon.
 */
extern Edits *edits_new(uv_loop_t *loop, const Config *config, Ingest *ingest, CommitQueue *waiters,
						PointMerge *points, uint64_t limit, void (*wake)(void *), void *argument);

/*
 * Queues an edit; the source and the SQL are copied.  The SQL is statements without parameters, one of
 * which may be a COPY in binary format, which gets the rows.  The edit frees these; NULL: there are
 * none.  Returns NULL, and frees them, if too many edits are waiting; no callback is called then.
 */
extern Edit *edits_submit(Edits *edits, const QuerySource *source, const char *sql, Batch *rows,
						  EditCallback callback, void *argument);

/*
 * Ends the edit, of which nothing is stored then, unless its COMMIT has been sent.  No callback
 * follows.  Must not be called after the callback.
 */
extern void edit_cancel(Edit *edit);

/* Must be called some times a second: ends what takes too long (--query-timeout). */
extern void edits_tick(Edits *edits);

#endif /* HISTORIAND_EDIT_H */
