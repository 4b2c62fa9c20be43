/*
 * table_check.h
 *	  Checks whether PostgreSQL would take messages into the table.
 *
 * This is asked at start and from time to time, without writing anything, so that a missing table
 * is known before the first message comes.  The same question tells whether the places of fields that
 * PostgreSQL keeps may have become others, because the table was made anew for instance.
 */
#ifndef HISTORIAND_TABLE_CHECK_H
#define HISTORIAND_TABLE_CHECK_H

#include "base/config.h"
#include "ingest/field_places.h"

#include <uv.h>

typedef struct TableCheck TableCheck;

/* Begins asking, on the loop, over a connection of its own.  Forgets places that may be others. */
extern TableCheck *table_check_new(uv_loop_t *loop, const Config *config, FieldPlaces *places);

/*
 * Was all well when it was asked last?  If not, sets why to what is wrong.  Any thread may call it.
 */
extern bool table_check_good(TableCheck *check, char *why, size_t size);

/* Is the first check still under way?  Any thread may call it. */
extern bool table_check_starting(TableCheck *check);

/*
 * Asks now, and also whether reads would be answered, for --check-config.  Blocks.  If anything is
 * wrong, logs it and returns false.
 */
extern bool table_check_now(const Config *config);

#endif /* HISTORIAND_TABLE_CHECK_H */
