/*
 * point_merge.h
 *	  Fields of one series and time that come in several lines are one point.
 */
#ifndef HISTORIAND_POINT_MERGE_H
#define HISTORIAND_POINT_MERGE_H

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

/*
 * Remembers a point, whose count fields are in the order of their names.  Where one of the same tag and
 * time is remembered, its fields are added to those of this one, which win: values, with room for
 * MESSAGE_MAX_VALUES, then are those of all, in the order of their names.  Returns their number, 0 where
 * they would be too many.  For any thread.
 */
extern uint32_t point_merge(PointMerge *merge, int64_t time_ns, const char *tag, size_t tag_length,
							const PointName *names, double *values, uint32_t count);

/* Forgets all: some of them were refused after all. */
extern void point_merge_forget(PointMerge *merge);

#endif /* HISTORIAND_POINT_MERGE_H */
