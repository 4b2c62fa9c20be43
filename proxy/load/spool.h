/*
 * spool.h
 *	  Batches on disk, for which memory has no room while PostgreSQL is away.
 *
 * A queue of files, one a batch, oldest first.  It belongs to the writer's loop; the functions that
 * touch file contents block, and are for worker threads.
 */
#ifndef HISTORIAND_SPOOL_H
#define HISTORIAND_SPOOL_H

#include "base/list.h"
#include "ingest/ingest.h"

typedef struct Spool Spool;

typedef struct SpoolFile
{
	ListLink link;
	uint64_t sequence;
	size_t bytes;	   /* on disk */
	uint64_t rows;	   /* 0: not known, it was found at start */
	bool damaged;	   /* spool_read() could not read all of it */
	IngestBatch about; /* everything but the rows */
} SpoolFile;

/*
 * Would spool_open() have a directory that it can use?  Makes and locks nothing: another process
 * may be using it now.  Returns false after logging what is wrong.
 */
extern bool spool_check(const char *directory);

/*
 * Opens the directory for this process alone and finds what an earlier one left there.  Returns
 * NULL after logging why it cannot.
 */
extern Spool *spool_open(const char *directory, uint64_t max_bytes);

extern SpoolFile *spool_first(const Spool *spool); /* NULL: empty */
/* The one behind it, or NULL. */
extern SpoolFile *spool_next(const Spool *spool, const SpoolFile *file);
extern uint64_t spool_bytes(const Spool *spool);
extern bool spool_has_room(const Spool *spool, size_t bytes);

/* The next number, which no file ever had: files are loaded in the order of theirs. */
extern uint64_t spool_next_sequence(Spool *spool);

/*
 * In three steps, the middle one from a worker: name a file, write the batch, queue the file.  A
 * failure is logged unless quiet, and leaves nothing behind.
 */
extern SpoolFile *spool_new_file(uint64_t sequence, const IngestBatch *batch);
extern bool spool_write(const Spool *spool, SpoolFile *file, const IngestBatch *batch, bool quiet);
extern void spool_queue(Spool *spool, SpoolFile *file);

/*
 * The rows of a file as a batch, from a worker.  What is damaged is logged, left out and counted in
 * the batch's lost.  Returns NULL after logging why where the file cannot be read now, which says
 * nothing about what is in it: try again later.  On the last try it counts as damaged instead.
 */
extern IngestBatch *spool_read(const Spool *spool, SpoolFile *file, bool last_try);

/*
 * The first file is loaded.  From a worker: removes it, so that no power cut brings it back; a damaged
 * one is kept under another name.  Then, from the loop: drops it from the queue.
 */
extern void spool_forget(Spool *spool, const SpoolFile *file);
extern void spool_drop_first(Spool *spool);

#endif /* HISTORIAND_SPOOL_H */
