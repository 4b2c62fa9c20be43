/*
 * rejects.c
 *	  The file of rejected records, a JSON object each a line.
 */
#include "rejects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"

#define TOLD 10 /* on stderr, if there is no file */

void
rejects_open(Rejects *rejects, const char *path, uint64_t bytes)
{
	off_t length;

	*rejects = (Rejects){.path = path, .file = -1};
	if (path == NULL)
		return;
	rejects->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	length = rejects->file < 0 ? -1 : lseek(rejects->file, 0, SEEK_END);
	if (length < 0)
		connection_fail_with("%s: %s", path, strerror(errno));
	/* It may be shorter, because it was moved away; then it begins anew. */
	rejects->bytes = (uint64_t) length < bytes ? (uint64_t) length : bytes;
	if (ftruncate(rejects->file, (off_t) rejects->bytes) != 0 ||
		lseek(rejects->file, (off_t) rejects->bytes, SEEK_SET) < 0)
		connection_fail_with("%s: %s", path, strerror(errno));
}

/* Tells the first ones as "line 7: reason". */
static void
tell(Rejects *rejects, const RowBatch *batch)
{
	const char *line = batch->rejects.data;
	const char *end = line + batch->rejects.length;

	while (line < end && rejects->told < TOLD)
	{
		const char *next = memchr(line, '\n', (size_t) (end - line));
		int length = (int) (next - line);

		fprintf(stderr, "rejected: %.*s\n", length < 400 ? length : 400, line);
		line = next + 1;
		if (++rejects->told == TOLD)
			fprintf(stderr, "rejected: others are not told; --rejects FILE keeps all\n");
	}
}

/* Tells once what cures the commonest fault, a column of text among the values. */
static void
hint(Rejects *rejects, const RowBatch *batch)
{
	static const char no_number[] = "is no number\"";

	if (rejects->hinted || memmem(batch->rejects.data, batch->rejects.length, no_number,
								  sizeof(no_number) - 1) == NULL)
		return;
	fprintf(stderr,
			"hint: if a column has texts, leave it out: --values lists the columns to load, "
			"--restart takes a file again\n");
	rejects->hinted = true;
}

void
rejects_write(Rejects *rejects, const RowBatch *batch)
{
	size_t done = 0;

	if (batch->reject_count == 0)
		return;
	if (rejects->path == NULL)
	{
		tell(rejects, batch);
		hint(rejects, batch);
		return;
	}
	while (done < batch->rejects.length)
	{
		ssize_t written =
			write(rejects->file, batch->rejects.data + done, batch->rejects.length - done);

		if (written < 0 && errno != EINTR)
			connection_fail_with("%s: %s", rejects->path, strerror(errno));
		done += written > 0 ? (size_t) written : 0;
	}
	if (fsync(rejects->file) != 0 && errno != EINVAL)
		connection_fail_with("%s: %s", rejects->path, strerror(errno));
	rejects->bytes += batch->rejects.length;
}

void
rejects_close(Rejects *rejects)
{
	if (rejects->file >= 0 && close(rejects->file) != 0)
		connection_fail_with("%s: %s", rejects->path, strerror(errno));
}
