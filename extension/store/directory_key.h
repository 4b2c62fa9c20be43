/*
 * directory_key.h
 *	  The keys of the directory: by which tag and time a stored segment is found.
 *
 * The directory's columns are (tag COLLATE "C", time).  Each kind of segment (segment.h) has its
 * key:
 *
 *	 compacted				(tag, first time)
 *	 pending, or late run	(tag, NULL), after the tag's compacted ones
 *	 summaries				(tag and one NUL, first time)
 *	 late					(tag and two NULs, first time)
 *	 mark					(one NUL, NULL); a pending segment that serializable.c describes
 *	 root of a run			(NUL, byte 1; NULL)
 *	 shared					(NUL, byte 1, number of the run, fence; NULL)
 *
 * No user's tag contains a NUL or is empty.  So a tag's summaries and late segments follow the tag
 * at once, and nobody can name them; marks, roots and shared segments precede all tags.
 */
#ifndef HISTORIAN_DIRECTORY_KEY_H
#define HISTORIAN_DIRECTORY_KEY_H

#include "postgres.h"

#include "store/segment.h"

/* The directory's columns. */
#define KEY_TAG 1
#define KEY_TIME 2
#define DIRECTORY_NKEYS 2

/* How many NULs follow the tag in the keys of its summaries and of its late segments. */
#define SUMMARY_SUFFIX_BYTES 1
#define LATE_SUFFIX_BYTES 2

/* The tag of marks is one NUL. */
#define MARK_TAG_BYTES 1

/* What the keys of roots and of shared segments begin with. */
#define RUN_PREFIX_BYTES 2

/*
 * Room for the tag of any key: the bytes of a text.  It is no text, because a struct cannot have
 * one as a member.
 */
typedef struct DirectoryTag
{
	int32		length_word;
	char		bytes[RUN_PREFIX_BYTES + SEGMENT_RUN_NUMBER_BYTES + SEGMENT_MAX_TAG_BYTES +
					  LATE_SUFFIX_BYTES];
} DirectoryTag;

static inline text *
directory_tag_text(const DirectoryTag *tag)
{
	return (text *) tag;
}

/* Makes the key of a segment; tag is the memory for the key's tag. */
extern void directory_key(const SegmentHeader *header, DirectoryTag *tag, Datum *values,
						  bool *isnull);

/* Makes the tag of a key of a run: of the shared segment with this fence, or (NULL) of roots. */
extern void directory_key_run(DirectoryTag *tag, uint64 number, const char *fence,
							  Size fence_bytes);
extern void directory_key_roots(DirectoryTag *tag);

/* Makes a tag at or before which all keys of a run are, and no key of a later run. */
extern void directory_key_run_end(DirectoryTag *tag, uint64 number);

/* Makes the first tag after that of a run's key. */
extern void directory_key_after(DirectoryTag *tag, const text *key);

/* Makes a tag that all keys of runs and marks precede, and that precedes all users' tags. */
extern void directory_key_first_user_tag(DirectoryTag *tag);

/* Copies the tag of a key. */
extern void directory_key_copy(DirectoryTag *tag, const text *from);

/* The fence in the tag of a shared segment's key; points into the tag. */
extern const char *directory_key_fence(const text *tag, Size *bytes);

#endif							/* HISTORIAN_DIRECTORY_KEY_H */
