/*
 * http_output.c
 *	  Bytes on their way to a client.
 *
 * What the kernel does not take at once is given to libuv in slices, so that a slow client can be
 * told from one that takes nothing.
 */
#include "http_output.h"

#include <errno.h>
#include <sys/socket.h>

#define SLICE_BYTES 262144
#define KEPT_BYTES	16384 /* a larger buffer is given back when it is empty */

static bool write_slice(HttpOutput *output);
static void on_written(uv_write_t *write, int status);

bool
http_output_flush(HttpOutput *output)
{
	uv_os_fd_t fd;
	ssize_t sent;

	if (output->active || output->pending.length == 0)
		return true;
	/* Not uv_try_write(): with nothing queued in libuv, this does the same for less. */
	if (uv_fileno((uv_handle_t *) output->stream, &fd) != 0)
		return false;
	sent = send(fd, output->pending.data, output->pending.length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		return false;
	if (sent == (ssize_t) output->pending.length)
	{
		output->pending.length = 0;
		if (output->pending.capacity > KEPT_BYTES)
			bytes_free(&output->pending);
		return true;
	}
	output->writing = output->pending;
	output->written = sent > 0 ? (size_t) sent : 0;
	output->pending = (Bytes){0};
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
	output->slice_start_ms = uv_now(output->stream->loop);
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
	return !output->active && output->pending.length == 0;
}

size_t
http_output_unsent(const HttpOutput *output)
{
	return output->pending.length + (output->active ? output->writing.length - output->written : 0);
}

bool
http_output_stuck(const HttpOutput *output, uint64_t now_ms, uint64_t limit_ms)
{
	return output->active && now_ms - output->slice_start_ms > limit_ms;
}

void
http_output_free(HttpOutput *output)
{
	bytes_free(&output->pending);
	bytes_free(&output->writing);
}
