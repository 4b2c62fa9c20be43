/*
 * rename.h
 *	  Gives the rows of a tag another tag.
 */
#ifndef HISTORIAN_RENAME_H
#define HISTORIAN_RENAME_H

#include "postgres.h"

#include "utils/rel.h"

#include "compat.h"

/*
 * Gives all rows of a tag another tag, which must not have any, and returns how many rows a reader
 * would have seen.  Copies segments without decoding them, as far as the new tag leaves them room on
 * a page.  Works under a fresh snapshot, or under the transaction's from REPEATABLE READ on; loads
 * that commit later stay under the former tag.  The caller holds RowExclusiveLock.
 */
extern int64 rename_rows(Relation rel, text *tag, text *new_tag);

/*
 * Makes sure, for the caller who will give rows another tag by an UPDATE, that no transaction has given that tag
 * rows, and that no other renaming, deletion or update of the table does until this transaction ends.
 */
extern void rename_begin_update(Relation rel, text *new_tag);

/* Raises the error for a new tag that has rows. */
pg_noreturn extern void rename_refuse_used(Relation rel, const text *tag);

#endif							/* HISTORIAN_RENAME_H */
