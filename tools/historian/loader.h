/*
 * loader.h
 *	  Loads batches of rows into a table, each in one transaction, by COPY in the binary format.
 */
#ifndef HISTORIAN_LOADER_H
#define HISTORIAN_LOADER_H

#include <libpq-fe.h>

#include "import_state.h"
#include "rejects.h"
#include "row_batch.h"
#include "target.h"
#include "value_names.h"

typedef struct Loader
{
	PGconn *connection;
	Target target;
	ImportState *state;
	Rejects *rejects;
	FieldPlaces *places; /* of fields of line protocol; NULL in other formats */
	const char *names;	 /* of the values, to be kept for tags that have none; NULL: none are */
	void (*on_sent)(void *context, uint64_t rows); /* called while a batch is sent; may be NULL */
	void *context;
} Loader;

/*
 * Loads a batch and commits it, with the state and the names that it has.  Rows that PostgreSQL
 * refuses are added to the batch's rejects; all rejects are on disk before the commit.  Any other
 * error ends the program.
 */
extern void loader_load(Loader *loader, RowBatch *batch);

#endif /* HISTORIAN_LOADER_H */
