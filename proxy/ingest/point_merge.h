/*
 * point_merge.h
 *	  Fields of one series and time that come in several lines are one point.
 */
#ifndef HISTORIAND_POINT_MERGE_H
#define HISTORIAND_POINT_MERGE_H

#include "ingest/stage.h"

#include <stddef.h>
#include <stdint.h>

typedef struct PointMerge PointMerge;

/* As written in the line, with its escapes. */
typedef struct PointName
{
	const char *start;
	size_t length;
} PointName;

extern PointMerge *point_merge_new(void);

/* One request that writes points.  To begin with it is what point_merge_writer() returns. */
typedef struct PointWriter
{
	uint64_t number;
	uint64_t
		crossings; /* of all writers, when nothing of what this one has staged was merged yet */
} PointWriter;

extern PointWriter point_merge_writer(PointMerge *merge);

/*
 * Remembers a point, whose count fields are in the order of their names.  Where one of the same tag and
 * time is remembered, its fields are added to those of this one, which win: values, with room for
 * MESSAGE_MAX_VALUES, then are those of all, in the order of their names.  Returns their number, or 0 where
 * they would be more than a row holds; what is remembered then is as before.  For any thread.
 */
extern uint32_t point_merge(PointMerge *merge, const PointWriter *writer, int64_t time_ns,
							const char *tag, size_t tag_length, const PointName *names,
							double *values, uint32_t count);

/*
 * Around the append of a writer's stage to the buffer, which one thread does at a time.  Points to which others
 * have added fields meanwhile, and whose rows may be in the buffer already, get these fields at the beginning; so the
 * last row of a point has all of them.  With all, nothing of what the writer has merged is left to append.
 */
extern void point_merge_append_begin(PointMerge *merge, const PointWriter *writer, Stage *stage);
extern void point_merge_append_end(PointMerge *merge, PointWriter *writer, bool all);

/* Forgets all: some of them were refused after all. */
extern void point_merge_forget(PointMerge *merge);

#endif /* HISTORIAND_POINT_MERGE_H */
