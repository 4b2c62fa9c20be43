/*
 * tag_metadata.h
 *	  What is known of a tag (historian.tag), in SQL and as JSON.
 */
#ifndef HISTORIAND_TAG_METADATA_H
#define HISTORIAND_TAG_METADATA_H

#include "base/memory.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* The columns of historian.tag AS m that tag_metadata_put() takes, and their number. */
#define TAG_METADATA_COLUMNS                                                                       \
	"m.description, m.interpolation, trim_scale(extract(epoch FROM m.max_silence)) || 's', "       \
	"array_to_json(m.names), array_to_json(m.units), array_to_json(m.low), array_to_json(m.high)"
#define TAG_METADATA_COUNT 7

/*
 * Appends ,"member":value for each column of the first row, from column first on.  Leaves NULL out,
 * unless all is set.
 */
extern void tag_metadata_put(Bytes *body, const PGresult *row, int first, bool all);

#endif /* HISTORIAND_TAG_METADATA_H */
