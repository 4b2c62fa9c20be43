/*
 * bundle.h
 *	  Many rows in one piece of bytes, as the extension's view historian.bundle takes them.
 *
 * extension/write/bundle.h has the format: the times and the values are columns, and tags, of which
 * neighbours often begin alike, take only what differs from the one before.
 */
#ifndef HISTORIAND_BUNDLE_H
#define HISTORIAND_BUNDLE_H

#include "ingest/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Bundle Bundle;

/* Is this a processor whose numbers can be sent as they are in memory? */
extern bool bundle_possible(void);

extern Bundle *bundle_new(void);
extern void bundle_free(Bundle *bundle);

/* Makes it empty. */
extern void bundle_begin(Bundle *bundle);

/* May one more row be added, whatever it is? */
extern bool bundle_has_room(const Bundle *bundle);

/* Adds the row that the cursor has returned.  All rows of a bundle are of one batch. */
extern void bundle_add(Bundle *bundle, const BatchCursor *cursor, const BatchRow *row);

/* The parts of the bytes, in their order. */
#define BUNDLE_HEADER_BYTES 24
#define BUNDLE_PARTS		3

typedef struct BundlePart
{
	const void *bytes;
	size_t length;
} BundlePart;

/* Ends the bundle: writes its header, and sets its parts, which are valid until the next call with the bundle. */
extern void bundle_end(Bundle *bundle, char header[BUNDLE_HEADER_BYTES],
					   BundlePart parts[BUNDLE_PARTS]);

#endif /* HISTORIAND_BUNDLE_H */
