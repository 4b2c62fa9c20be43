/*
 * bundle_rows.c
 *	  Sends rows through historiand's batch into bundles, for test_bundle.py to read them.
 *
 * Standard input: for each row int64 time, uint32 number of values, uint32 bytes of the tag, the values, the tag; NULLs
 * are those of stages.  Output: for each bundle uint32 length, and its bytes.
 */
#include "ingest/batch.h"
#include "load/bundle.h"

#include <stdio.h>
#include <stdlib.h>

static void
read_exactly(void *to, size_t size)
{
	if (fread(to, 1, size, stdin) != size)
		abort();
}

static Batch *
read_batch(void)
{
	Batch *batch = batch_new(NULL);
	Stage stage = {0};
	int64_t time_ns;

	while (fread(&time_ns, 1, sizeof(time_ns), stdin) == sizeof(time_ns))
	{
		uint32_t lengths[2];
		char tag[MESSAGE_MAX_TAG_BYTES];
		StagedMessage *message;

		read_exactly(lengths, sizeof(lengths));
		if (lengths[0] > MESSAGE_MAX_VALUES || lengths[1] > MESSAGE_MAX_TAG_BYTES)
			abort();
		message = stage_reserve(&stage, lengths[0]);
		read_exactly(message->values, lengths[0] * sizeof(double));
		read_exactly(tag, lengths[1]);
		stage_add(&stage, time_ns, lengths[0], tag, lengths[1]);
	}
	batch_add_stage(batch, &stage, (BatchSource){0});
	stage_free(&stage);
	batch_close(batch);
	return batch;
}

int
main(void)
{
	Batch *batch = read_batch();
	Bundle *bundle = bundle_new();
	BatchCursor cursor;
	uint64_t left = batch_rows(batch);

	batch_cursor_seek(&cursor, batch, 0);
	do
	{
		char header[BUNDLE_HEADER_BYTES];
		BundlePart parts[BUNDLE_PARTS];
		uint32_t length = BUNDLE_HEADER_BYTES;

		bundle_begin(bundle);
		for (; left > 0 && bundle_has_room(bundle); left--)
		{
			const BatchRow *row = batch_cursor_next(&cursor);

			bundle_add(bundle, &cursor, row);
		}
		bundle_end(bundle, header, parts);
		for (int i = 0; i < BUNDLE_PARTS; i++)
			length += (uint32_t) parts[i].length;
		fwrite(&length, sizeof(length), 1, stdout);
		fwrite(header, sizeof(header), 1, stdout);
		for (int i = 0; i < BUNDLE_PARTS; i++)
			fwrite(parts[i].bytes, 1, parts[i].length, stdout);
	} while (left > 0);
	bundle_free(bundle);
	batch_free(batch);
	return 0;
}
