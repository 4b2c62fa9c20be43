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
 *
 * With TLS each slice is sealed when its turn comes, so that at most one is held twice.
 */
#include "http/http_output.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SLICE_BYTES 262144
#define PAGE_BYTES	4096
#define KEPT_BYTES	16384 /* a larger buffer is given back when it is empty */

static bool flush_sealed(HttpOutput *output);
static bool write_slice(HttpOutput *output);
static void on_written(uv_write_t *write, int status);

/* How many bytes the kernel takes at once; -1 if the connection is broken. */
static ssize_t
send_now(const HttpOutput *output, const char *data, size_t length)
{
	uv_os_fd_t fd;
	ssize_t sent;

	/* Nothing is queued in libuv, so that this does the same as uv_try_write() for less. */
	if (uv_fileno((uv_handle_t *) output->stream, &fd) != 0)
		return -1;
	sent = send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent >= 0)
		return sent;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

/* Forgets bytes that were sent; a small buffer is kept for the next ones. */
static void
empty(Bytes *bytes)
{
	bytes->length = 0;
	if (bytes->capacity > KEPT_BYTES)
		bytes_free(bytes);
}

/* Begins to write bytes, of which the first are written already. */
static void
take(HttpOutput *output, Bytes *bytes, size_t written)
{
	output->progress_ms = uv_now(output->stream->loop);
	output->undelivered = SIZE_MAX;
	output->written = written;
	if (bytes == &output->writing)
		return;
	output->writing = *bytes;
	*bytes = (Bytes){0};
}

bool
http_output_flush(HttpOutput *output)
{
	Bytes *next = output->pending.length > 0 ? &output->pending : &output->long_body;
	size_t length = next->length < SLICE_BYTES ? next->length : SLICE_BYTES;
	ssize_t sent;

	if (output->active)
		return true;
	if (output->tls != NULL)
		return flush_sealed(output);
	if (next->length == 0)
		return true;
	sent = send_now(output, next->data, length);
	if (sent < 0)
		return false;
	if (sent == (ssize_t) next->length)
	{
		empty(next);
		return next == &output->long_body || http_output_flush(output);
	}
	take(output, next, (size_t) sent);
	return write_slice(output);
}

/* Seals the next slice, and sends what the kernel takes of it; libuv and on_written() do the rest. */
static bool
flush_sealed(HttpOutput *output)
{
	Bytes *next = output->pending.length > 0 ? &output->pending : &output->long_body;
	size_t length = next->length < SLICE_BYTES ? next->length : SLICE_BYTES;
	bool whole = length == next->length;
	ssize_t sent;

	if (length > 0 && !tls_seal(output->tls, next->data, length, &output->sealed))
		return false;
	if (output->sealed.length == 0)
		return true;
	sent = send_now(output, output->sealed.data, output->sealed.length);
	if (sent < 0)
		return false;
	if (whole)
		empty(next);
	if (whole && sent == (ssize_t) output->sealed.length)
	{
		empty(&output->sealed);
		return next == &output->long_body || http_output_flush(output);
	}
	bytes_consume(&output->sealed, (size_t) sent);
	if (whole)
		take(output, &output->writing, 0);
	else
		take(output, next, length);
	return write_slice(output);
}

static bool
write_slice(HttpOutput *output)
{
	uv_buf_t buffer;

	output->slice = output->writing.length - output->written;
	if (output->slice > SLICE_BYTES)
		output->slice = SLICE_BYTES;
	if (output->tls == NULL)
		buffer = uv_buf_init(output->writing.data + output->written, (unsigned) output->slice);
	else
	{
		if (output->slice > 0 && !tls_seal(output->tls, output->writing.data + output->written,
										   output->slice, &output->sealed))
			return false;
		output->written += output->slice;
		output->slice = 0;
		output->sending = output->sealed;
		output->sealed = (Bytes){0};
		buffer = uv_buf_init(output->sending.data, (unsigned) output->sending.length);
	}
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
	bytes_free(&output->sending);
	if (status == 0 && (output->written < output->writing.length || output->sealed.length > 0))
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
	return !output->active && output->pending.length == 0 && output->long_body.length == 0 &&
		   output->sealed.length == 0;
}

size_t
http_output_unsent(const HttpOutput *output)
{
	return output->pending.length + output->long_body.length + output->sealed.length +
		   output->sending.length + (output->active ? output->writing.length - output->written : 0);
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
http_output_end(HttpOutput *output)
{
	if (output->tls == NULL || !http_output_idle(output))
		return;
	tls_end(output->tls, &output->sealed);
	http_output_flush(output); /* where that fails the client sees it anyway */
}

void
http_output_shrink(HttpOutput *output)
{
	bytes_free(&output->pending);
	bytes_free(&output->sealed);
}

/*
 * The memory of bytes that are only appended to.  Of what a large buffer has beyond its length, the
 * kernel has given a page at most.
 */
static size_t
given_memory(const Bytes *bytes)
{
	size_t given = (bytes->length / PAGE_BYTES + 1) * PAGE_BYTES;

	return bytes->capacity <= KEPT_BYTES || bytes->capacity < given ? bytes->capacity : given;
}

size_t
http_output_memory(const HttpOutput *output)
{
	return given_memory(&output->pending) + given_memory(&output->writing) +
		   output->sealed.capacity + output->sending.capacity +
		   (output->tls != NULL ? tls_memory(output->tls) : 0);
}

void
http_output_free(HttpOutput *output)
{
	tls_free(output->tls);
	bytes_free(&output->sealed);
	bytes_free(&output->sending);
	bytes_free(&output->pending);
	bytes_free(&output->long_body);
	bytes_free(&output->writing);
}
