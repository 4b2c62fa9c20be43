/*
 * line_scan.h
 *	  One point of InfluxDB's line protocol into a stage.
 */
#ifndef HISTORIAND_LINE_SCAN_H
#define HISTORIAND_LINE_SCAN_H

#include "ingest/message_scan.h"
#include "ingest/point_merge.h"
#include "ingest/stage.h"

/* What a line does not say itself. */
typedef struct LineRules
{
	int64_t unit_ns;	/* of its timestamp */
	int64_t now_ns;		/* where it has none */
	bool skip_strings;	/* fields that are strings are left out, not refused */
	PointMerge *merge;	/* where other lines' fields of the same point are, or NULL */
	PointWriter writer; /* whose lines these are to it */
} LineRules;

/*
 * The point of a line, which ends at end, into the stage; nothing where all its fields were left out.  Returns false, with *error saying why and
 * nothing staged, where it is no point that can be stored.
 */
extern bool line_scan(Stage *stage, const char *line, const char *end, const LineRules *rules,
					  MessageError *error);

/*
 * Where the line ends: at a line feed outside of strings, or NULL where that is not in the text.
 * Everything after it would be read as points, so nothing of a string may be.
 */
extern const char *line_end(const char *line, const char *end);

#endif /* HISTORIAND_LINE_SCAN_H */
