/*
 * spool.h
 *	  Batches on disk, for which memory has no room while PostgreSQL is away.
 *
 * The spool is a queue of files, the oldest first, each with one batch.  It belongs to the writer's
 * loop; functions that read, write or remove files block, and are called from worker threads.
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
	uint64_t rows;	   /* 0: not known, because an earlier process wrote the file */
	bool damaged;	   /* spool_read() could not read all of it */
	IngestBatch about; /* the batch without its rows */
} SpoolFile;

/*
 * Could spool_open() use the directory?  If not, logs why.  Makes and locks nothing, because
 * another process may be using the directory now.
 */
extern bool spool_check(const char *directory);

/*
 * Opens the directory for this process alone, and queues the files that an earlier one left there.
 * If that fails, logs why and returns NULL.
 */
extern Spool *spool_open(const char *directory, uint64_t max_bytes);

/* The first file, and the one after a file; NULL: there is none. */
extern SpoolFile *spool_first(const Spool *spool);
extern SpoolFile *spool_next(const Spool *spool, const SpoolFile *file);
extern uint64_t spool_bytes(const Spool *spool);
extern bool spool_has_room(const Spool *spool, size_t bytes);

/* Returns a number that no file ever had.  Files are loaded in the order of their numbers. */
extern uint64_t spool_next_sequence(Spool *spool);

/*
 * A batch is put into the spool in three steps: name a file, write the batch (in a worker thread),
 * queue the file.  If writing fails, it logs that unless quiet, and leaves no file.
 */
extern SpoolFile *spool_new_file(uint64_t sequence, const IngestBatch *batch);
extern bool spool_write(const Spool *spool, SpoolFile *file, const IngestBatch *batch, bool quiet);
extern void spool_queue(Spool *spool, SpoolFile *file);

/*
 * Reads a file in a worker thread, and returns its rows as a batch.  Damaged parts are logged, left
 * out and counted in the batch's lost.  If the file cannot be read now, logs why and returns NULL:
 * its content may be good, and the caller tries again later.  On the last try the file counts as
 * damaged instead.
 */
extern IngestBatch *spool_read(const Spool *spool, SpoolFile *file, bool last_try);

/*
 * Both are called after the first file was loaded.  spool_forget(), in a worker thread, removes the
 * file so that no power cut brings it back, or renames it if it is damaged.  spool_drop_first(),
 * from the loop, then drops it from the queue.
 */
extern void spool_forget(Spool *spool, const SpoolFile *file);
extern void spool_drop_first(Spool *spool);

#endif /* HISTORIAND_SPOOL_H */
