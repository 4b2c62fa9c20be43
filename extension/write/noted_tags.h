/*
 * noted_tags.h
 *	  Finds the tags of the pending segments that compaction has not looked at yet.
 */
#ifndef HISTORIAN_NOTED_TAGS_H
#define HISTORIAN_NOTED_TAGS_H

#include "postgres.h"

#include "store/compaction_notes.h"

/*
 * Reads the blocks of a look.  Returns the tags of the pending segments in them that are before the
 * horizon, in byte order, each once, palloc'd.  Notes a block again if it has segments that can
 * only be compacted later.
 */
extern text **noted_tags(Relation rel, const CompactionLook *look, uint64 horizon, uint32 *ntags);

#endif							/* HISTORIAN_NOTED_TAGS_H */
