/*
 * http_output.c
 *	  Writes bytes to a client.
 *
 * Bytes that the kernel does not take at once are given to libuv in slices, one in a turn of the
 * loop: to copy megabytes at once, to a client that takes them, would keep the others waiting.
 *
 * A client is stuck if no bytes reach it.  How many the kernel has taken says little about that,
 * because it takes more only when a third of its buffer, which may be megabytes, is free.  So
 * progress is measured by the bytes that the client's side has acknowledged, which have left both
 * buffers.
 */
#include "http/http_output.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SLICE_BYTES 262144
#define KEPT_BYTES	16384 /* a larger buffer is given back when it is empty */

static bool write_slice(HttpOutput *output);
static void on_written(uv_write_t *write, int status);

bool
http_output_flush(HttpOutput *output)
{
	Bytes *next = output->pending.length > 0 ? &output->pending : &output->long_body;
	size_t length = next->length < SLICE_BYTES ? next->length : SLICE_BYTES;
	uv_os_fd_t fd;
	ssize_t sent;

	if (output->active || next->length == 0)
		return true;
	/* Nothing is queued in libuv, so that this does the same as uv_try_write() for less. */
	if (uv_fileno((uv_handle_t *) output->stream, &fd) != 0)
		return false;
	sent = send(fd, next->data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		return false;
	if (sent == (ssize_t) next->length)
	{
		next->length = 0;
		if (next->capacity > KEPT_BYTES)
			bytes_free(next);
		return next == &output->long_body || http_output_flush(output);
	}
	output->progress_ms = uv_now(output->stream->loop);
	output->undelivered = SIZE_MAX;
	output->writing = *next;
	output->written = sent > 0 ? (size_t) sent : 0;
	*next = (Bytes){0};
	return write_slice(output);
}

static bool
write_slice(HttpOutput *output)
{
	uv_buf_t buffer;

	output->slice = output->writing.length - output->written;
	if (output->slice > SLICE_BYTES)
		output->slice = SLICE_BYTES;
	buffer = uv_buf_init(output->writing.data + output->written, (unsigned) output->slice);
	output->write.data = output;
	output->active = uv_write(&output->write, output->stream, &buffer, 1, on_written) == 0;
	return output->active;
}

static void
on_written(uv_write_t *write, int status)
{
	HttpOutput *output = write->data;

	output->active = false;
	output->written += output->slice;
	if (status == 0 && output->written < output->writing.length)
	{
		if (!write_slice(output))
			output->on_done(output, true);
		return;
	}
	bytes_free(&output->writing);
	output->on_done(output, status != 0);
}

bool
http_output_idle(const HttpOutput *output)
{
	return !output->active && output->pending.length == 0 && output->long_body.length == 0;
}

size_t
http_output_unsent(const HttpOutput *output)
{
	return output->pending.length + output->long_body.length +
		   (output->active ? output->writing.length - output->written : 0);
}

/* How many of the bytes to be written the client's side has not acknowledged. */
static size_t
undelivered(const HttpOutput *output)
{
	uv_os_fd_t fd;
	int queued = 0;

	if (uv_fileno((uv_handle_t *) output->stream, &fd) != 0 || ioctl(fd, SIOCOUTQ, &queued) != 0)
		queued = 0;
	return (size_t) queued + uv_stream_get_write_queue_size(output->stream) +
		   output->writing.length - output->written - output->slice + output->long_body.length;
}

bool
http_output_stuck(HttpOutput *output, uint64_t now_ms, uint64_t limit_ms)
{
	size_t left;

	if (!output->active)
		return false;
	left = undelivered(output);
	if (left < output->undelivered)
		output->progress_ms = now_ms;
	output->undelivered = left;
	return now_ms - output->progress_ms > limit_ms;
}

void
http_output_free(HttpOutput *output)
{
	bytes_free(&output->pending);
	bytes_free(&output->long_body);
	bytes_free(&output->writing);
}
