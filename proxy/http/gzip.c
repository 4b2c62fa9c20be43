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
#define MARGIN_BYTES 64

struct Gzip
{
	z_stream stream;
};

Gzip *
gzip_new(void)
{
	Gzip *gzip = memory_new(sizeof(Gzip));

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
		size_t room = deflateBound(stream, stream->avail_in) + MARGIN_BYTES;

		stream->next_out = (Bytef *) bytes_reserve(out, room);
		stream->avail_out = (uInt) room;
		deflate(stream, last ? Z_FINISH : Z_NO_FLUSH);
		out->length += room - stream->avail_out;
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
