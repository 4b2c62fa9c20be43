/*
 * fuzz_bundle.c
 *	  Hostile bundles, read as the trigger of historian.bundle does: whatever bundle_open() takes must be read to its
 *	  end or to an error within its bytes, and tags, numbers of values and sums must keep what bundle.h promises.
 *
 * Input: the bytes of a bundle.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "write/bundle.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool what)
{
	if (!what)
		abort();
}

/* Reads all that an entry points to, so that the sanitizer sees it, and returns how many values it has. */
static uint32
check_entry(const BundleEntry *entry)
{
	volatile uint64 sum = 0;
	uint32 nvalues = entry->nrows * entry->width;

	expect(entry->tag_bytes > 0 && entry->tag_bytes <= SEGMENT_MAX_TAG_BYTES);
	expect(pg_encoding_verifymbstr(PG_UTF8, entry->tag, entry->tag_bytes) ==
		   (int) entry->tag_bytes);
	expect(entry->nrows > 0 && entry->width <= CODEC_MAX_VALUES);
	if (entry->present != NULL)
	{
		expect(entry->nrows == 1);
		nvalues = 0;
		for (uint32 v = 0; v < entry->width; v++)
			nvalues += (entry->present[v / 8] & (1 << v % 8)) != 0;
	}
	for (uint32 i = 0; i < entry->nrows; i++)
		sum += (uint64) entry->time[i];
	for (uint32 i = 0; i < nvalues; i++)
	{
		uint64 bits;

		memcpy(&bits, &entry->values[i], sizeof(bits));
		sum += bits;
	}
	return nvalues;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(Max(size, 1));
	char tags[3][SEGMENT_MAX_TAG_BYTES];
	BundleReader reader;
	BundleEntry entry;
	uint32 nentries = 0;
	uint64 nrows = 0;
	uint64 nvalues = 0;
	uint32 total_values;

	memcpy(bytes, data, size);
	if (bundle_open(&reader, bytes, size))
	{
		total_values = reader.nvalues;
		while (bundle_next(&reader, &entry, tags[nentries++ % 3]))
		{
			nvalues += check_entry(&entry);
			nrows += entry.nrows;
			expect(nrows <= reader.total_rows && nvalues <= total_values);
			expect(nrows + reader.nrows == reader.total_rows);
		}
		expect(reader.error != NULL || (nrows == reader.total_rows && nvalues == total_values));
		expect(!bundle_next(&reader, &entry, tags[0]));
	}
	else
		expect(reader.error != NULL);
	free(bytes);
	return 0;
}
