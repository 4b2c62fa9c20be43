/*
 * rejects.h
 *	  The file of rejected records, a JSON object each a line.
 */
#ifndef HISTORIAN_REJECTS_H
#define HISTORIAN_REJECTS_H

#include <stdint.h>

#include "row_batch.h"

typedef struct Rejects
{
	const char *path; /* NULL: there is no file, and the first ones are told on stderr */
	int file;
	uint64_t bytes; /* its length */
	unsigned told;
	bool hinted; /* that --values leaves columns out was told */
} Rejects;

/* Opens the file, and cuts off what is behind so many bytes, of a batch that was not committed. */
extern void rejects_open(Rejects *rejects, const char *path, uint64_t bytes);

/* Writes those of a batch, so that they are on disk.  It must be called before the batch commits. */
extern void rejects_write(Rejects *rejects, const RowBatch *batch);

extern void rejects_close(Rejects *rejects);

#endif /* HISTORIAN_REJECTS_H */
