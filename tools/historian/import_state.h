/*
 * import_state.h
 *	  How far the import of a source has come, in historian.import_progress.
 *
 * The state of a batch is written in the transaction that loads it.  So a source is resumed where
 * its committed rows end, whenever and however an import was ended.
 */
#ifndef HISTORIAN_IMPORT_STATE_H
#define HISTORIAN_IMPORT_STATE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "target.h"

typedef struct ImportState
{
	const char *source;	 /* the name of the source; NULL: nothing is kept */
	const char *path;	 /* of the file that the source is; NULL: it is none */
	const char *options; /* how the source is read */
	uint64_t bytes;		 /* of the source that are imported */
	uint64_t lines;
	uint64_t rows;
	uint64_t rejected;
	uint64_t rejects_bytes; /* the length of the file of rejects */
	bool finished;			/* the end of the source was reached */
} ImportState;

/*
 * Reads the state, or begins a new one if there is none, or with restart.  Waits until an import
 * that was killed has ended in PostgreSQL, too.  If the source was read with other options before, or
 * is another file of the same name, ends the program.
 */
extern void import_state_open(ImportState *state, PGconn *connection, const Target *target,
							  bool restart);

/*
 * In the transaction of a batch: makes sure that nobody else imports the source, which would have
 * moved the state on.  If somebody has, ends the program.
 */
extern void import_state_lock(const ImportState *state, PGconn *connection, const Target *target);

/* In the same transaction: writes the state. */
extern void import_state_write(const ImportState *state, PGconn *connection, const Target *target);

#endif /* HISTORIAN_IMPORT_STATE_H */
