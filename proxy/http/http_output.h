/*
 * http_output.h
 *	  Bytes on their way to a client.
 */
#ifndef HISTORIAND_HTTP_OUTPUT_H
#define HISTORIAND_HTTP_OUTPUT_H

#include "base/memory.h"

#include <stdbool.h>
#include <uv.h>

/* Zeroed, then stream and on_done filled in by its owner. */
typedef struct HttpOutput
{
	uv_stream_t *stream;
	/* Everything that http_output_flush() had to leave is written, or writing failed. */
	void (*on_done)(struct HttpOutput *output, bool failed);
	Bytes pending;	 /* append here, then flush */
	Bytes long_body; /* what follows that; until it has begun, nothing may be appended */

	Bytes writing; /* what uv_write() has; written of it are done */
	size_t written;
	size_t slice;
	size_t undelivered;	  /* when it was last looked at */
	uint64_t progress_ms; /* when that was last seen to fall */
	bool active;		  /* uv_write() is under way */
	uv_write_t write;
} HttpOutput;

/*
 * Writes what is pending, at once as far as the kernel takes it.  Returns false if the connection
 * is broken.  While active it leaves everything for later.
 */
extern bool http_output_flush(HttpOutput *output);

/* Is there nothing on its way? */
extern bool http_output_idle(const HttpOutput *output);

/* How many bytes the kernel has not taken yet. */
extern size_t http_output_unsent(const HttpOutput *output);

/* Has the client taken nothing for longer than limit_ms?  To be asked some times a second. */
extern bool http_output_stuck(HttpOutput *output, uint64_t now_ms, uint64_t limit_ms);

/* After the stream is closed. */
extern void http_output_free(HttpOutput *output);

#endif /* HISTORIAND_HTTP_OUTPUT_H */
