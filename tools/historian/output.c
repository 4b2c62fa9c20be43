/*
 * output.c
 *	  Where a command writes its data: stdout, or a file that is there only once it is whole.
 *
 * The program ignores SIGPIPE, because libpq may meet it, too.  Where stdout breaks, the program
 * ends as other programs of a pipeline do: by that signal and without a message.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "connection.h"

#define PIECE_BYTES ((size_t) 256 * 1024)

struct Output
{
	int file;
	char *path;	   /* NULL: stdout */
	char *partial; /* the name until the file is whole */
	gzFile gzip;   /* NULL: it is not compressed */
	uint64_t bytes;
	Bytes kept; /* not written yet */
};

static void __attribute__((noreturn)) fail(const Output *output)
{
	if (output->path == NULL && errno == EPIPE)
	{
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	connection_fail_with("%s: %s", output->path != NULL ? output->partial : "stdout",
						 strerror(errno));
}

static void
compress_file(Output *output)
{
	int copy = dup(output->file); /* gzclose() closes it */

	output->gzip = copy < 0 ? NULL : gzdopen(copy, "wb6");
	if (output->gzip == NULL)
		fail(output);
}

Output *
output_open(const char *path, bool compressed)
{
	Output *output = memory_new(sizeof(Output));
	size_t length = path != NULL ? strlen(path) : 0;
	struct stat status;

	signal(SIGPIPE, SIG_IGN);
	output->file = STDOUT_FILENO;
	if (path == NULL || strcmp(path, "-") == 0)
	{
		if (compressed)
			compress_file(output);
		return output;
	}
	output->path = memory_strdup(path);
	output->partial = memory_new(length + sizeof(".partial"));
	memcpy(output->partial, path, length);
	/* What is no file, such as a device, must stay what it is. */
	if (stat(path, &status) != 0 || S_ISREG(status.st_mode))
		memcpy(output->partial + length, ".partial", sizeof(".partial"));
	output->file = open(output->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (output->file < 0)
		fail(output);
	if (compressed || (length > 3 && strcmp(path + length - 3, ".gz") == 0))
		compress_file(output);
	return output;
}

static void
write_all(Output *output, const char *data, size_t length)
{
	while (length > 0)
	{
		ssize_t written;

		errno = 0;
		written = output->gzip != NULL ? gzwrite(output->gzip, data, (unsigned) length)
									   : write(output->file, data, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			fail(output);
		data += written;
		length -= (size_t) written;
	}
}

void
output_flush(Output *output)
{
	write_all(output, output->kept.data, output->kept.length);
	output->kept.length = 0;
}

void
output_write(Output *output, const void *data, size_t length)
{
	output->bytes += length;
	bytes_append(&output->kept, data, length);
	if (output->kept.length >= PIECE_BYTES)
		output_flush(output);
}

void
output_puts(Output *output, const char *text)
{
	output_write(output, text, strlen(text));
}

uint64_t
output_bytes(const Output *output)
{
	return output->bytes;
}

void
output_close(Output *output)
{
	output_flush(output);
	if (output->gzip != NULL && gzclose(output->gzip) != Z_OK)
		fail(output);
	if (output->path != NULL)
	{
		if (fsync(output->file) != 0 && errno != EINVAL && errno != EROFS)
			fail(output);
		if (close(output->file) != 0 || (strcmp(output->partial, output->path) != 0 &&
										 rename(output->partial, output->path) != 0))
			fail(output);
	}
	bytes_free(&output->kept);
	free(output->partial);
	free(output->path);
	free(output);
}
