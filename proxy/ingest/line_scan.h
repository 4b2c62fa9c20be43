/*
 * line_scan.h
 *	  Scans one point of InfluxDB's line protocol into a stage.
 */
#ifndef HISTORIAND_LINE_SCAN_H
#define HISTORIAND_LINE_SCAN_H

#include "ingest/message_scan.h"
#include "ingest/point_merge.h"
#include "ingest/stage.h"

/* How the lines of a request are read, beside the integers. */
typedef struct LineRules
{
	int64_t now_ns;		/* time of a line without a timestamp */
	bool skip_strings;	/* leave out fields that are strings, and do not refuse them */
	PointMerge *merge;	/* has the fields of the same point that other lines gave; may be NULL */
	PointWriter writer; /* the request as merge knows it */
	const char *tag_prefix; /* of the tags that are taken; NULL: all */
	size_t tag_prefix_length;
} LineRules;

/*
 * Scans the point of a line, which ends at end, into the stage.  Stages nothing if all its fields
 * were left out.  If it is no point that can be stored, stages nothing, sets *error and returns
 * false.
 */
extern bool line_scan(Stage *stage, const char *line, const char *end, const TimestampRules *times,
					  const LineRules *rules, MessageError *error);

/*
 * Returns where the line ends, at a line feed outside of strings, or NULL if the text does not have
 * it.  A line feed inside a string must not count: the rest of the string would be read as points.
 */
extern const char *line_scan_end(const char *line, const char *end);

#endif /* HISTORIAND_LINE_SCAN_H */
