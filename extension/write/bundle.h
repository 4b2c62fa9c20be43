/*
 * bundle.h
 *	  Bundles: many rows in one piece of bytes, as historiand sends them.
 *
 * A row of COPY costs PostgreSQL more than a historian table needs to store one value.  In a bundle
 * the times and the values of many rows are columns, which are stored as they come.
 *
 * All numbers are little-endian.  A bundle has four parts:
 *
 *	  header	uint32 magic, and how many rows, values and entries there are and the bytes of the
 *				entries, each a uint32; 4 bytes of zeros
 *	  times		int64[rows]
 *	  values	double[values], those of the first row, those of the second, and so on; NULLs have none
 *	  entries	which rows have which tag and how many values
 *
 * An entry is for one row or for several that follow each other:
 *
 *	  varint	how many bytes of the tag before begin this tag
 *	  varint	how many bytes follow, and these
 *	  varint	4 times the number of values of each row, plus 1 if values of the row are NULL, plus 2
 *				if there are several rows
 *	  bitmap	if values of the row are NULL: a bit for each, the least first, which is 0 for a NULL
 *	  varint	if there are several rows: how many
 *
 * The tag is UTF-8.  Tags may come in any order; rows come in the order in which they are loaded.
 */
#ifndef HISTORIAN_BUNDLE_H
#define HISTORIAN_BUNDLE_H

#include "postgres.h"

#include "codec/codec.h"
#include "store/segment.h"

#define BUNDLE_MAGIC 0x31424948 /* "HIB1" */
#define BUNDLE_HEADER_BYTES 24

/* Rows of one tag, with as many values each. */
typedef struct BundleEntry
{
	const char *tag;			/* in the caller's memory */
	uint32		tag_bytes;		/* 1 .. SEGMENT_MAX_TAG_BYTES */
	uint32		nrows;			/* at least 1; 1 if any value is NULL */
	uint16		width;			/* 0 .. CODEC_MAX_VALUES */
	const int64 *time;			/* [nrows] */
	const double *values;		/* of all rows, without the NULLs */
	const uint8 *present;		/* a bit for each value; NULL: no value is NULL */
} BundleEntry;

/* A bundle that is being read; it points into the bytes. */
typedef struct BundleReader
{
	const int64 *time;			/* of the rows that have not been read yet */
	const double *values;
	const uint8 *next;			/* entry */
	const uint8 *end;
	uint32		nrows;			/* left */
	uint32		nvalues;
	uint32		nentries;
	uint32		total_rows;
	const char *tag;			/* the last entry's */
	uint32		tag_bytes;
	const char *error;			/* what is wrong with the bytes; NULL: nothing so far */
} BundleReader;

/*
 * Opens a bundle, which begins at a multiple of 8 bytes in memory.  Returns false, and sets error, if the bytes are not
 * one.  Whatever they are, neither this nor bundle_next() reads outside of them.
 */
extern bool bundle_open(BundleReader *reader, const char *bytes, Size length);

/*
 * Reads the next entry.  Its tag is written to tag[SEGMENT_MAX_TAG_BYTES]; that of the entry before must still be where
 * it was written, which may be here.  Returns false at the end, or with an error.
 */
extern bool bundle_next(BundleReader *reader, BundleEntry *entry, char *tag);

#endif							/* HISTORIAN_BUNDLE_H */
