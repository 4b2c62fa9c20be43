/*
 * noted_tags.h
 *	  The tags whose pending segments compaction has not looked at.
 */
#ifndef HISTORIAN_NOTED_TAGS_H
#define HISTORIAN_NOTED_TAGS_H

#include "postgres.h"

#include "store/compaction_notes.h"

/*
 * The tags that have pending segments older in load order than horizon in the blocks of a look, in
 * their order, each once; palloc'd.  Blocks with segments that are to be looked at later are noted
 * again.
 */
extern text **noted_tags(Relation rel, const CompactionLook *look, uint64 horizon, uint32 *ntags);

#endif							/* HISTORIAN_NOTED_TAGS_H */
