/*
 * source.c
 *	  The source of the producer's messages, a workload or a file, and when each message is due.
 */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "options.h"

#define LINE_BYTES 4096

struct Source
{
	uint64_t messages_read;
	bool ended;
	bool paced; /* source_set_max_rate() was called at start_ns */
	uint64_t max_rate;
	int64_t start_ns;

	const Workload *workload; /* NULL: the source is a file */
	uint64_t messages;		  /* of the workload, to be read */
	int64_t *values;		  /* the current ones of each tag */
	uint64_t *counts;		  /* messages of each tag so far */
	const char *path;
	gzFile file;
};

static void *allocate(size_t count, size_t bytes);
static void reserve(Text *text, size_t bytes);
static uint32_t read_workload(Source *source, uint32_t max_messages, Text *text);
static uint32_t read_file(Source *source, uint32_t max_messages, Text *text);

Source *
source_open_workload(const Workload *workload, uint64_t messages)
{
	const WorkloadOptions *options = workload_options(workload);
	Source *source = allocate(1, sizeof(*source));

	source->workload = workload;
	source->messages = messages;
	source->values = allocate((size_t) options->tags * options->values, sizeof(int64_t));
	source->counts = allocate(options->tags, sizeof(uint64_t));
	return source;
}

Source *
source_open_file(const char *path)
{
	Source *source = allocate(1, sizeof(*source));

	source->path = path;
	source->file = gzopen(path, "rb");
	if (source->file == NULL)
	{
		perror(path);
		exit(1);
	}
	gzbuffer(source->file, 256 * 1024);
	return source;
}

void
source_close(Source *source)
{
	free(source->values);
	free(source->counts);
	if (source->file != NULL)
		gzclose(source->file);
	free(source);
}

void
source_set_max_rate(Source *source, uint64_t rate)
{
	source->paced = true;
	source->max_rate = rate;
	source->start_ns = now_ns();
}

uint64_t
source_due(const Source *source, int64_t now_ns)
{
	if (source->paced && source->max_rate > 0)
		return (uint64_t) ((__int128) (now_ns - source->start_ns) * source->max_rate / 1000000000);
	if (source->paced || source->workload == NULL)
		return SOURCE_UNLIMITED;
	return workload_count(source->workload, now_ns);
}

uint32_t
source_read(Source *source, uint32_t max_messages, Text *text)
{
	uint32_t read = source->workload != NULL ? read_workload(source, max_messages, text)
											 : read_file(source, max_messages, text);

	source->messages_read += read;
	if (read < max_messages)
		source->ended = true;
	return read;
}

uint64_t
source_messages_read(const Source *source)
{
	return source->messages_read;
}

bool
source_ended(const Source *source)
{
	return source->ended;
}

static void *
allocate(size_t count, size_t bytes)
{
	void *memory = calloc(count, bytes);

	if (memory == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return memory;
}

/* Makes room in the text for so many more bytes. */
static void
reserve(Text *text, size_t bytes)
{
	if (text->bytes + bytes <= text->allocated)
		return;
	text->allocated = (text->bytes + bytes) * 2;
	text->data = realloc(text->data, text->allocated);
	if (text->data == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
}

/* Appends the next messages of the workload. */
static uint32_t
read_workload(Source *source, uint32_t max_messages, Text *text)
{
	const Workload *workload = source->workload;
	uint32_t width = workload_options(workload)->values;
	uint64_t left = source->messages - source->messages_read;
	uint32_t count = left < max_messages ? (uint32_t) left : max_messages;

	reserve(text, count * workload_max_json_bytes(workload));
	for (uint32_t i = 0; i < count; i++)
	{
		uint64_t message = source->messages_read + i;
		uint32_t tag = workload_tag(workload, message);
		int64_t *values = source->values + (size_t) tag * width;

		workload_step(workload, tag, source->counts[tag]++, values);
		text->bytes += workload_json(workload, workload_time(workload, message), tag, values,
									 text->data + text->bytes);
		text->data[text->bytes++] = '\n';
	}
	return count;
}

/* Appends the next lines of the file. */
static uint32_t
read_file(Source *source, uint32_t max_messages, Text *text)
{
	uint32_t count = 0;

	while (count < max_messages)
	{
		char *line = NULL;
		int error;

		reserve(text, LINE_BYTES);
		/* After a last line without a line feed, zlib 1.3.2 would call the file incomplete. */
		if (!gzeof(source->file))
			line = gzgets(source->file, text->data + text->bytes, LINE_BYTES);
		if (line == NULL)
		{
			const char *reason = gzerror(source->file, &error);

			if (error != Z_OK && error != Z_STREAM_END)
			{
				fprintf(stderr, "%s: %s\n", source->path, reason);
				exit(1);
			}
			break;
		}
		text->bytes += strlen(line);
		if (text->data[text->bytes - 1] == '\n' || gzeof(source->file))
			count++;
	}
	return count;
}
