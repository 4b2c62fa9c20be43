/*
 * bundle.c
 *	  Bundles: many rows in one piece of bytes, as historiand sends them.
 */
#include "postgres.h"

#include "write/bundle.h"

#include "mb/pg_wchar.h"

#include "store/segment_bytes.h"

#define HAS_NULLS 1
#define HAS_COUNT 2
#define FORM_BITS 2

static bool fail(BundleReader *reader, const char *error);
static bool read_tag(BundleReader *reader, BundleEntry *entry, char *tag);
static bool is_utf8(const char *tag, uint32 kept, uint32 tag_bytes);
static bool is_ascii(const char *tag, uint32 from, uint32 tag_bytes);
static bool get_long_varint(BundleReader *reader, uint32 *value);
static uint32 count_present(const uint8 *present, uint32 width);

/* Reads a number below 2^28, which mostly has one byte. */
static inline bool
get_varint(BundleReader *reader, uint32 *value)
{
	if (reader->next == reader->end || *reader->next >= 0x80)
		return get_long_varint(reader, value);
	*value = *reader->next++;
	return true;
}

bool
bundle_open(BundleReader *reader, const char *bytes, Size length)
{
	const uint8 *header = (const uint8 *) bytes;
	uint32		entry_bytes;

	memset(reader, 0, sizeof(*reader));
	Assert((uintptr_t) bytes % sizeof(int64) == 0);
	if (length < BUNDLE_HEADER_BYTES)
		return fail(reader, "it is too short");
	if (segment_bytes_get32(header) != BUNDLE_MAGIC)
		return fail(reader, "it does not begin as one of this version");
	reader->nrows = reader->total_rows = segment_bytes_get32(header + 4);
	reader->nvalues = segment_bytes_get32(header + 8);
	reader->nentries = segment_bytes_get32(header + 12);
	entry_bytes = segment_bytes_get32(header + 16);
	if ((uint64) BUNDLE_HEADER_BYTES + (uint64) reader->nrows * sizeof(int64) +
		(uint64) reader->nvalues * sizeof(double) + entry_bytes != length ||
		segment_bytes_get32(header + 20) != 0)
		return fail(reader, "its length is not that which its header tells");
	reader->time = (const int64 *) (bytes + BUNDLE_HEADER_BYTES);
	reader->values = (const double *) (reader->time + reader->nrows);
	reader->next = (const uint8 *) (reader->values + reader->nvalues);
	reader->end = reader->next + entry_bytes;
	return true;
}

bool
bundle_next(BundleReader *reader, BundleEntry *entry, char *tag)
{
	uint32		form;
	uint32		width;
	uint64		nvalues;

	if (reader->error != NULL)
		return false;
	if (reader->nentries == 0)
	{
		if (reader->next != reader->end || reader->nrows != 0 || reader->nvalues != 0)
			return fail(reader, "its entries have fewer rows, values or bytes than its header tells");
		return false;
	}
	reader->nentries--;
	if (!read_tag(reader, entry, tag))
		return false;
	if (!get_varint(reader, &form))
		return fail(reader, "it ends within an entry");
	width = form >> FORM_BITS;
	if (width > CODEC_MAX_VALUES)
		return fail(reader, "a row has too many values");
	if ((form & HAS_NULLS) && (form & HAS_COUNT))
		return fail(reader, "an entry of several rows has values that are NULL");
	entry->width = width;
	entry->nrows = 1;
	entry->present = NULL;
	if (form & HAS_NULLS)
	{
		if ((width + 7) / 8 > (Size) (reader->end - reader->next))
			return fail(reader, "it ends within an entry");
		entry->present = reader->next;
		reader->next += (width + 7) / 8;
	}
	if ((form & HAS_COUNT) && !get_varint(reader, &entry->nrows))
		return fail(reader, "it ends within an entry");
	nvalues = entry->present != NULL ? count_present(entry->present, width)
		: (uint64) entry->nrows * width;
	if (entry->nrows == 0 || entry->nrows > reader->nrows || nvalues > reader->nvalues)
		return fail(reader, "its entries have no rows, or more rows or values than its header tells");

	entry->time = reader->time;
	entry->values = reader->values;
	reader->time += entry->nrows;
	reader->values += nvalues;
	reader->nrows -= entry->nrows;
	reader->nvalues -= nvalues;
	return true;
}

/* Notes what is wrong.  Returns false, for the caller to return. */
static bool
fail(BundleReader *reader, const char *error)
{
	reader->error = error;
	return false;
}

/* Reads the tag of an entry. */
static bool
read_tag(BundleReader *reader, BundleEntry *entry, char *tag)
{
	uint32		kept;
	uint32		suffix;
	bool		same;

	if (!get_varint(reader, &kept) || !get_varint(reader, &suffix) ||
		suffix > (Size) (reader->end - reader->next))
		return fail(reader, "it ends within an entry");
	if (kept > reader->tag_bytes || suffix > SEGMENT_MAX_TAG_BYTES - kept || kept + suffix == 0)
		return fail(reader, "the length of a tag is out of range");
	same = suffix == 0 && kept == reader->tag_bytes;
	if (kept > 0 && tag != reader->tag)
		memcpy(tag, reader->tag, kept);
	memcpy(tag + kept, reader->next, suffix);
	reader->next += suffix;
	reader->tag = entry->tag = tag;
	reader->tag_bytes = entry->tag_bytes = kept + suffix;
	if (!same && !is_utf8(tag, kept, kept + suffix))
		return fail(reader, "a tag is not UTF-8, or has a zero byte");
	return true;
}

/*
 * Is the tag UTF-8 without a zero byte, if its first kept bytes begin one?  These may end within a
 * character, so that the bytes after the last one of ASCII are looked at again.
 */
static bool
is_utf8(const char *tag, uint32 kept, uint32 tag_bytes)
{
	if (is_ascii(tag, kept, tag_bytes))
		return true;
	while (kept > 0 && IS_HIGHBIT_SET(tag[kept - 1]))
		kept--;
	return pg_encoding_verifymbstr(PG_UTF8, tag + kept, tag_bytes - kept) ==
		(int) (tag_bytes - kept);
}

/*
 * Are the bytes of a tag from there on ASCII without a zero byte?  May say no if those before are not, or
 * if the tag is shorter than a word.
 */
static bool
is_ascii(const char *tag, uint32 from, uint32 tag_bytes)
{
	const uint64 ones = UINT64CONST(0x0101010101010101);
	uint64		word;
	uint64		wrong = 0;		/* a top bit is set: of such a byte, or of 0 less 1 */

	if (tag_bytes < sizeof(uint64) || (from > 0 && IS_HIGHBIT_SET(tag[from - 1])))
		return false;
	/* words, of which the last overlaps the one before */
	for (; from + sizeof(uint64) < tag_bytes; from += sizeof(uint64))
	{
		word = segment_bytes_get64((const uint8 *) tag + from);
		wrong |= word | (word - ones);
	}
	word = segment_bytes_get64((const uint8 *) tag + tag_bytes - sizeof(uint64));
	wrong |= word | (word - ones);
	return (wrong & (ones << 7)) == 0;
}

/* Reads a number of 7 bits a byte, the least first. */
static bool
get_long_varint(BundleReader *reader, uint32 *value)
{
	*value = 0;
	for (int shift = 0; shift < 28; shift += 7)
	{
		uint8		byte;

		if (reader->next >= reader->end)
			return false;
		byte = *reader->next++;
		*value |= (uint32) (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* How many of the first width bits are set. */
static uint32
count_present(const uint8 *present, uint32 width)
{
	uint32		count = 0;

	for (uint32 v = 0; v < width; v++)
		count += (present[v / 8] >> (v % 8)) & 1;
	return count;
}
