/*
 * dead_letter.h
 *	  The file of rows that PostgreSQL refused for good, as NDJSON.
 */
#ifndef HISTORIAND_DEAD_LETTER_H
#define HISTORIAND_DEAD_LETTER_H

#include "batch.h"
#include "memory.h"

#include <stdbool.h>

/* Appends {"time":..,"tag":..,"values":[..],"sqlstate":..,"message":..} and a line end. */
extern void dead_letter_format(Bytes *lines, const BatchRow *row, const char *tag,
							   uint32_t tag_length, const char *sqlstate, const char *message);

/* Appends the lines to the file and syncs it.  Blocks: for a worker thread.  0 or errno. */
extern int dead_letter_write(const char *path, const Bytes *lines);

#endif /* HISTORIAND_DEAD_LETTER_H */
