/*
 * gzip.c
 *	  Compression of answers.
 *
 * The quickest level is used, because numbers as text shrink to about a third at any level.
 */
#include "http/gzip.h"

#include <stdlib.h>
#include <zlib.h>

#define GZIP_ONLY	 (16 + MAX_WBITS)
#define MEMORY_LEVEL 8
#define ROOM_BYTES	 16384 /* for output at a time: most inputs shrink */

struct Gzip
{
	z_stream stream;
};

static void *
allocate(void *unused, uInt number, uInt size)
{
	void *block = memory_new_raw((size_t) number * size);

	(void) unused;
	memory_occupy(block, (size_t) number * size);
	return block;
}

static void
release(void *unused, void *block)
{
	(void) unused;
	free(block);
}

Gzip *
gzip_new(void)
{
	Gzip *gzip = memory_new(sizeof(Gzip));

	gzip->stream.zalloc = allocate;
	gzip->stream.zfree = release;
	if (deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_ONLY, MEMORY_LEVEL,
					 Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* there is no memory: see memory.h */
	return gzip;
}

void
gzip_add(Gzip *gzip, Bytes *out, const char *data, size_t length, bool last)
{
	z_stream *stream = &gzip->stream;

	stream->next_in = (Bytef *) data;
	stream->avail_in = (uInt) length;
	do
	{
		stream->next_out = (Bytef *) bytes_reserve(out, ROOM_BYTES);
		stream->avail_out = ROOM_BYTES;
		deflate(stream, last ? Z_FINISH : Z_NO_FLUSH);
		out->length += ROOM_BYTES - stream->avail_out;
	} while (stream->avail_out == 0);
}

void
gzip_free(Gzip *gzip)
{
	if (gzip == NULL)
		return;
	deflateEnd(&gzip->stream);
	free(gzip);
}

void
gzip_whole(Bytes *out, const char *data, size_t length)
{
	Gzip *gzip = gzip_new();

	gzip_add(gzip, out, data, length, true);
	gzip_free(gzip);
}
