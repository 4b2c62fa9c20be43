/*
 * dead_letter.h
 *	  The file of rows that PostgreSQL refused for good, as NDJSON.
 */
#ifndef HISTORIAND_DEAD_LETTER_H
#define HISTORIAND_DEAD_LETTER_H

#include "ingest/batch.h"
#include "load/refusals.h"

/*
 * Appends a line {"time":..,"tag":..,"values":[..],"sqlstate":..,"message":..} for each row of the
 * batch that was refused, and syncs the file.  Returns 0 or errno.  Blocks, and is called from a
 * worker thread.
 */
extern int dead_letter_write(const char *path, const Batch *batch, const Refusals *refusals);

#endif /* HISTORIAND_DEAD_LETTER_H */
