/*
 * gunzip.c
 *	  Decompression of a gzip body that arrives in pieces.
 *
 * A gzip file may have several members one after the other (RFC 1952).  Clients that concatenate
 * compressed chunks send such files.
 */
#include "ingest/gunzip.h"

#include "base/memory.h"

#include <stdlib.h>
#include <zlib.h>

#define OUTPUT_BYTES 32768
#define GZIP_ONLY	 (16 + MAX_WBITS)

struct Gunzip
{
	z_stream stream;
	bool between; /* at the start, or after a member's end */
	bool started;
	char output[OUTPUT_BYTES];
};

Gunzip *
gunzip_new(void)
{
	Gunzip *gunzip = memory_new(sizeof(Gunzip));

	if (inflateInit2(&gunzip->stream, GZIP_ONLY) != Z_OK)
	{
		free(gunzip);
		return NULL;
	}
	gunzip->between = true;
	return gunzip;
}

void
gunzip_free(Gunzip *gunzip)
{
	if (gunzip == NULL)
		return;
	inflateEnd(&gunzip->stream);
	free(gunzip);
}

GunzipStatus
gunzip_step(Gunzip *gunzip, const char **data, size_t *length, const char **output,
			size_t *output_length)
{
	z_stream *stream = &gunzip->stream;
	int result;

	if (*length == 0 && gunzip->between)
		return GUNZIP_HUNGRY;
	if (gunzip->between && gunzip->started && inflateReset(stream) != Z_OK)
		return GUNZIP_CORRUPT;
	gunzip->between = false;
	gunzip->started = true;

	stream->next_in = (Bytef *) *data;
	stream->avail_in = (uInt) *length;
	stream->next_out = (Bytef *) gunzip->output;
	stream->avail_out = OUTPUT_BYTES;
	result = inflate(stream, Z_NO_FLUSH);
	*data = (const char *) stream->next_in;
	*length = stream->avail_in;
	*output = gunzip->output;
	*output_length = OUTPUT_BYTES - stream->avail_out;

	if (result == Z_STREAM_END)
		gunzip->between = true;
	else if (result == Z_BUF_ERROR)
		return GUNZIP_HUNGRY; /* this is no error: no input, and no output left */
	else if (result != Z_OK)
		return GUNZIP_CORRUPT;
	return GUNZIP_MORE;
}

bool
gunzip_complete(const Gunzip *gunzip)
{
	return gunzip->between && gunzip->started;
}
