/*
 * http_output.h
 *	  Writes bytes to a client.
 */
#ifndef HISTORIAND_HTTP_OUTPUT_H
#define HISTORIAND_HTTP_OUTPUT_H

#include "base/memory.h"
#include "http/tls.h"

#include <stdbool.h>
#include <uv.h>

/* Zeroed at first; the owner then sets stream and on_done, and tls if the bytes go by TLS. */
typedef struct HttpOutput
{
	uv_stream_t *stream;
	/* Is called when all that http_output_flush() had left is written, or writing has failed. */
	void (*on_done)(struct HttpOutput *output, bool failed);
	Bytes pending;	 /* the owner appends here, then flushes */
	Bytes long_body; /* follows pending, to which nothing may be appended until it has begun */

	/* of TLS, or NULL */
	Tls *tls;
	Bytes sealed;  /* to be sent: what tls_open() appended, and what was made of the above */
	Bytes sending; /* the part of it that libuv is writing */

	Bytes writing;		  /* the bytes that are being written */
	size_t written;		  /* how many of them libuv has written, or TLS has sealed */
	size_t slice;		  /* how many libuv is writing; 0 with TLS */
	size_t undelivered;	  /* bytes that had not reached the client when this was last checked */
	uint64_t progress_ms; /* when they were last seen to become fewer */
	bool active;		  /* uv_write() is under way */
	uv_write_t write;
} HttpOutput;

/*
 * Writes what is pending, as much of it at once as the kernel takes.  Does nothing while active.
 * Returns false if the connection is broken.
 */
extern bool http_output_flush(HttpOutput *output);

/* Is there nothing to be written? */
extern bool http_output_idle(const HttpOutput *output);

/* How many bytes the kernel has not taken yet. */
extern size_t http_output_unsent(const HttpOutput *output);

/* Has the client taken nothing for longer than limit_ms?  Must be asked some times a second. */
extern bool http_output_stuck(HttpOutput *output, uint64_t now_ms, uint64_t limit_ms);

/* Says, by TLS, that no more will be sent; nothing must be pending.  Without TLS it does nothing. */
extern void http_output_end(HttpOutput *output);

/* Gives back the memory that an idle output keeps for what comes next. */
extern void http_output_shrink(HttpOutput *output);

/* How much memory it holds, but for the long body. */
extern size_t http_output_memory(const HttpOutput *output);

/* Must be called after the stream is closed. */
extern void http_output_free(HttpOutput *output);

#endif /* HISTORIAND_HTTP_OUTPUT_H */
