/*
 * relocation.h
 *	  Moves segments from the end of a table's file into free pages, so that VACUUM can cut it off.
 */
#ifndef HISTORIAN_RELOCATION_H
#define HISTORIAN_RELOCATION_H

#include "postgres.h"

#include "storage/block.h"
#include "utils/rel.h"

/*
 * The part of the file that must become free to make it worthwhile to move the rest: of a table
 * that is not being loaded, and of one whose loads will fill much of it.
 */
#define RELOCATION_LEAST 0.1
#define RELOCATION_LEAST_LOADED 0.3

/* So many pages are filled side by side, as segments differ in size. */
#define RELOCATION_TARGETS 8

/* A page that is being filled. */
typedef struct RelocationTarget
{
	BlockNumber block;
	Size		room;
} RelocationTarget;

/* What to move: pages from the end of the file down to the boundary, into pages before it. */
typedef struct Relocation
{
	BlockNumber boundary;
	BlockNumber source;			/* pages from here on have been dealt with */
	BlockNumber next_target;	/* where the search for the next empty page begins */
	RelocationTarget targets[RELOCATION_TARGETS];
	bool		ended;
} Relocation;

/*
 * Plans the relocation of a table.  Returns false if there is nothing to move: less than `least` of
 * the file, from 0 to 1, would be free at its end.
 */
extern bool relocation_plan(Relation rel, double least, Relocation *relocation);

/*
 * Moves segments until about so many bytes have been moved (0: no limit), or until the relocation
 * has ended.  The caller has directory_lock() and RowExclusiveLock.  The moved segments' former
 * places are free after the transaction's commit and a VACUUM.
 */
extern void relocation_run(Relation rel, Relocation *relocation, Size max_bytes);

#endif							/* HISTORIAN_RELOCATION_H */
