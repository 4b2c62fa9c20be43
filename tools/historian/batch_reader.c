/*
 * batch_reader.c
 *	  Makes batches of rows of an input, in a thread of its own.
 *
 * The window holds bytes of the input that are not decoded yet.  If the last line has no line end,
 * one is added to the window, so that decoders know none without.
 */
#include "batch_reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "connection.h"
#include "value_names.h"

#define READ_BYTES	 ((size_t) 256 * 1024)
#define WINDOW_BYTES (2 * DECODER_MAX_RECORD)

/*
 * How much of line protocol is read again when an import is resumed: fields of one point may come
 * in several lines, of which the first were loaded before.  No more of them is remembered either.
 */
#define LINES_AGAIN_BYTES ((uint64_t) 16 * 1024 * 1024)

struct BatchReader
{
	Input *input;
	Decoder *decoder;
	BatchLimits limits;
	bool input_end; /* the input has no more bytes than the window */
	bool line_end_added;
	char *window;
	size_t begin; /* of what is not decoded */
	size_t end;
	uint64_t line; /* at begin, from 1 */
	uint32_t noted_tags;
	const char *wrong;
	MessageError error;
	char broken[sizeof(MessageError) + 100];

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	RowBatch batches[2];
	int filled; /* how many batches were filled, and taken */
	int taken;
	bool stopping;
};

static void *fill_batches(void *argument);

/* Reads more into the window; at the end of the input sets input_end. */
static void
read_more(BatchReader *reader)
{
	ssize_t count;

	if (reader->begin > 0)
	{
		memmove(reader->window, reader->window + reader->begin, reader->end - reader->begin);
		reader->end -= reader->begin;
		reader->begin = 0;
	}
	if (reader->end + READ_BYTES > WINDOW_BYTES)
	{
		reader->wrong = "a record is longer than 1 MiB";
		reader->input_end = true;
		return;
	}
	count = input_read(reader->input, reader->window + reader->end, READ_BYTES, &reader->wrong);
	if (count > 0)
	{
		reader->end += (size_t) count;
		return;
	}
	reader->input_end = true;
	if (count == 0 && !reader->decoder->is_binary && reader->end > 0 &&
		reader->window[reader->end - 1] != '\n')
	{
		reader->window[reader->end++] = '\n';
		reader->line_end_added = true;
	}
}

/* The offset in the input of what is to be decoded next. */
static uint64_t
offset_of(const BatchReader *reader)
{
	uint64_t left = reader->end - reader->begin;

	/* The line end that was added is behind all that the input has. */
	return input_offset(reader->input) - left + (reader->line_end_added && left > 0);
}

/* Decodes what precedes the first record. */
static void
read_header(BatchReader *reader)
{
	Decoder *decoder = reader->decoder;
	MessageError error = {0};

	while (decoder->header != NULL)
	{
		const char *data = reader->window + reader->begin;
		uint64_t lines = 0;
		DecoderStatus status = decoder->header(decoder, &data, reader->window + reader->end,
											   reader->input_end, &lines, &error);

		if (status == DECODER_BROKEN)
			connection_fail_with("%s: %s", input_name(reader->input),
								 reader->wrong != NULL ? reader->wrong : error.detail);
		if (status == DECODER_RECORD)
		{
			reader->begin = (size_t) (data - reader->window);
			reader->line += lines;
			return;
		}
		read_more(reader);
	}
}

/* Moves on to an offset of the input. */
static void
move_to(BatchReader *reader, uint64_t offset)
{
	uint64_t here = offset_of(reader);
	const char *wrong;

	if (offset <= here)
		return;
	if (offset - here <= reader->end - reader->begin)
	{
		reader->begin += (size_t) (offset - here);
		return;
	}
	reader->begin = reader->end = 0;
	if (!input_skip(reader->input, offset, &wrong))
		connection_fail_with("%s\n  hint: --restart imports it from its begin", wrong);
}

/* Decodes lines of before the offset once more, of which the rows are not used. */
static void
read_again(BatchReader *reader, uint64_t offset)
{
	Decoder *decoder = reader->decoder;
	Stage unused = {0};

	if (offset > LINES_AGAIN_BYTES)
		move_to(reader, offset - LINES_AGAIN_BYTES);
	while (offset_of(reader) < offset)
	{
		const char *data = reader->window + reader->begin;
		uint64_t lines = 0;
		MessageError error = {0};

		if (decoder->next(decoder, &data, reader->window + reader->end, reader->input_end, &unused,
						  &lines, &error) == DECODER_MORE)
		{
			if (reader->input_end)
				break;
			read_more(reader);
			continue;
		}
		reader->begin = (size_t) (data - reader->window);
		unused.length = 0;
		unused.waiting.length = 0;
		unused.count = 0;
	}
	stage_free(&unused);
}

BatchReader *
batch_reader_open(Input *input, Decoder *decoder, const BatchLimits *limits,
				  const BatchPlace *place)
{
	BatchReader *reader = memory_new(sizeof(BatchReader));

	reader->input = input;
	reader->decoder = decoder;
	reader->limits = *limits;
	reader->line = 1;
	reader->window = memory_new_raw(WINDOW_BYTES + 1);
	read_header(reader);
	if (place->offset > 0)
	{
		if (decoder->merges_lines)
			read_again(reader, place->offset);
		move_to(reader, place->offset);
		reader->line = place->line;
	}
	pthread_mutex_init(&reader->lock, NULL);
	pthread_cond_init(&reader->changed, NULL);
	if (pthread_create(&reader->thread, NULL, fill_batches, reader) != 0)
		connection_fail_with("no thread could be started");
	return reader;
}

/* Notes the tags that have had their first row in this batch. */
static void
note_tags(BatchReader *reader, RowBatch *batch)
{
	TagTable *tags = reader->decoder->tags;
	uint32_t count = tags != NULL ? tag_table_count(tags) : 0;

	for (; reader->noted_tags < count; reader->noted_tags++)
	{
		const TagName *name = tag_table_name(tags, reader->noted_tags);

		value_names_put(&batch->new_tags, name->text, name->length);
	}
}

/* Decodes the next record.  Returns false at the end of the input. */
static bool
decode_record(BatchReader *reader, RowBatch *batch)
{
	const char *record = reader->window + reader->begin;
	const char *data = record;
	MessageError *error = &reader->error;
	uint64_t lines = 0;

	error->field[0] = error->detail[0] = '\0';
	switch (reader->decoder->next(reader->decoder, &data, reader->window + reader->end,
								  reader->input_end, &batch->stage, &lines, error))
	{
		case DECODER_RECORD:
			row_batch_note_lines(batch, reader->line);
			if (error->detail[0] != '\0')
				row_batch_reject_record(batch, reader->line, error, record,
										reader->decoder->is_binary ? 0
																   : (size_t) (data - record - 1));
			reader->line += lines;
			reader->begin = (size_t) (data - reader->window);
			return true;
		case DECODER_MORE:
			if (reader->input_end)
				break;
			read_more(reader);
			return true;
		case DECODER_END:
			break;
		case DECODER_BROKEN:
			snprintf(reader->broken, sizeof(reader->broken), "%s: record %llu: %s",
					 input_name(reader->input), (unsigned long long) reader->line, error->detail);
			if (reader->wrong == NULL)
				reader->wrong = reader->broken;
			break;
	}
	return false;
}

static void
fill(BatchReader *reader, RowBatch *batch)
{
	row_batch_clear(batch);
	batch->begin_offset = offset_of(reader);
	while (!batch->last && batch->stage.count < reader->limits.rows &&
		   batch->stage.length + batch->rejects.length < reader->limits.bytes)
		batch->last = !decode_record(reader, batch);
	note_tags(reader, batch);
	batch->end_offset = offset_of(reader);
	batch->end_line = reader->line;
	if (batch->last)
		batch->wrong = reader->wrong;
}

static void *
fill_batches(void *argument)
{
	BatchReader *reader = argument;
	bool last = false;

	while (!last)
	{
		RowBatch *batch = &reader->batches[reader->filled % 2];

		fill(reader, batch);
		last = batch->last;
		pthread_mutex_lock(&reader->lock);
		reader->filled++;
		pthread_cond_signal(&reader->changed);
		/* The batch that is filled next must have been given back: the one after it is taken. */
		while (reader->filled > reader->taken && !reader->stopping && !last)
			pthread_cond_wait(&reader->changed, &reader->lock);
		last = last || reader->stopping;
		pthread_mutex_unlock(&reader->lock);
	}
	return NULL;
}

RowBatch *
batch_reader_next(BatchReader *reader)
{
	RowBatch *batch;

	pthread_mutex_lock(&reader->lock);
	while (reader->filled == reader->taken)
		pthread_cond_wait(&reader->changed, &reader->lock);
	batch = &reader->batches[reader->taken++ % 2];
	pthread_cond_signal(&reader->changed);
	pthread_mutex_unlock(&reader->lock);
	return batch;
}

void
batch_reader_close(BatchReader *reader)
{
	pthread_mutex_lock(&reader->lock);
	reader->stopping = true;
	pthread_cond_signal(&reader->changed);
	pthread_mutex_unlock(&reader->lock);
	pthread_join(reader->thread, NULL);
	for (int i = 0; i < 2; i++)
		row_batch_free(&reader->batches[i]);
	free(reader->window);
	free(reader);
}
