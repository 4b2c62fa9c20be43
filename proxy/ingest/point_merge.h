/*
 * point_merge.h
 *	  Merges fields of one series and time that come in several lines into one point.
 */
#ifndef HISTORIAND_POINT_MERGE_H
#define HISTORIAND_POINT_MERGE_H

#include "ingest/field_places.h"
#include "ingest/stage.h"

#include <stddef.h>
#include <stdint.h>

typedef struct PointMerge PointMerge;

/* The name of a field as the line has it, with its escapes. */
typedef struct PointName
{
	const char *start;
	size_t length;
} PointName;

/* places, which may be NULL where nothing is stored, stays the caller's. */
extern PointMerge *point_merge_new(FieldPlaces *places);

/* A request that writes points; point_merge_writer() makes it. */
typedef struct PointWriter
{
	uint64_t number;
	uint64_t crossings; /* how many there were before this writer's staged points were merged */
} PointWriter;

extern PointWriter point_merge_writer(PointMerge *merge);

/*
 * Remembers a point, whose *count fields are in the order of their names.  If a point of the same
 * tag and time is remembered already, adds its fields to this one; if both have a field, this one's
 * value stays.  values, which has room for MESSAGE_MAX_VALUES and is where the stage's next message
 * will lie, then has the values of all fields, and *count says how many: in their places; or, if
 * these are not known yet, in the order of their names, and the stage notes that the point waits.
 * Returns false, and remembers nothing, if they are more than a row holds.  Any thread may call it.
 */
extern bool point_merge(PointMerge *merge, const PointWriter *writer, int64_t time_ns,
						const char *tag, size_t tag_length, const PointName *names, double *values,
						uint32_t *count, Stage *stage);

/*
 * A writer's stage is appended to the buffer between these two calls, by one thread at a time.
 * Other writers may have added fields to its points since, and may have appended them already.  The
 * first call adds these fields to the stage, so that the last row of a point has all its fields.
 * The second call is told whether the whole stage was appended (all).
 */
extern void point_merge_append_begin(PointMerge *merge, const PointWriter *writer, Stage *stage);
extern void point_merge_append_end(PointMerge *merge, PointWriter *writer, bool all);

/* Forgets all points, because some of them were refused after they had been remembered. */
extern void point_merge_forget(PointMerge *merge);

#endif /* HISTORIAND_POINT_MERGE_H */
