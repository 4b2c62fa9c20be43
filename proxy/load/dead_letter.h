/*
 * dead_letter.h
 *	  The file of rows that PostgreSQL refused for good, as NDJSON.
 */
#ifndef HISTORIAND_DEAD_LETTER_H
#define HISTORIAND_DEAD_LETTER_H

#include "ingest/batch.h"
#include "load/refusals.h"

/*
 * Appends {"time":..,"tag":..,"values":[..],"sqlstate":..,"message":..} and a line end for each row of
 * the batch that was refused, and syncs the file.  Blocks: for a worker thread.  0 or errno.
 */
extern int dead_letter_write(const char *path, const Batch *batch, const Refusals *refusals);

#endif /* HISTORIAND_DEAD_LETTER_H */
