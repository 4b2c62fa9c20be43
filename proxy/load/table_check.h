/*
 * table_check.h
 *	  Would PostgreSQL take messages into the table?  Asked at start and from time to time, without
 *	  writing anything, so that a missing table is known before the first message is.
 */
#ifndef HISTORIAND_TABLE_CHECK_H
#define HISTORIAND_TABLE_CHECK_H

#include "base/config.h"

#include <uv.h>

typedef struct TableCheck TableCheck;

/* Begins asking, on the loop, over a connection of its own. */
extern TableCheck *table_check_new(uv_loop_t *loop, const Config *config);

/* What was found last.  Where it is false, why says what is wrong.  For any thread. */
extern bool table_check_good(TableCheck *check, char *why, size_t size);

/*
 * For --check-config: asks now, and whether reads would be answered, too; blocks.  Returns false after
 * having printed what is wrong.
 */
extern bool table_check_now(const Config *config);

#endif /* HISTORIAND_TABLE_CHECK_H */
