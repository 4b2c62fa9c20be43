/*
 * dead_letter.c
 *	  The file of rows that PostgreSQL refused for good, as NDJSON.
 *
 * A line begins with time, tag and values as they came.  Without its last two fields it can be
 * posted again after the cause is gone.
 */
#include "load/dead_letter.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t) 256 * 1024)

static void
put_row(Bytes *lines, const BatchRow *row, const char *tag, uint32_t tag_length,
		const RefusalReason *reason)
{
	bytes_printf(lines, "{\"time\":%lld,\"tag\":", (long long) row->time_ns);
	bytes_json_string(lines, tag, tag_length);
	bytes_puts(lines, ",\"values\":[");
	for (uint32_t i = 0; i < row->value_count; i++)
	{
		bytes_puts(lines, i > 0 ? "," : "");
		if (value_is_null(&row->values[i]))
			bytes_puts(lines, "null");
		else
			bytes_printf(lines, "%.17g", row->values[i]);
	}
	bytes_printf(lines, "],\"sqlstate\":\"%s\",\"message\":", reason->sqlstate);
	bytes_json_string(lines, reason->message, strlen(reason->message));
	bytes_puts(lines, "}\n");
}

/* Returns 0 or errno. */
static int
write_all(int file, const Bytes *lines)
{
	size_t done = 0;

	while (done < lines->length)
	{
		ssize_t written = write(file, lines->data + done, lines->length - done);

		if (written >= 0)
			done += (size_t) written;
		else if (errno != EINTR)
			return errno;
	}
	return 0;
}

int
dead_letter_write(const char *path, const Batch *batch, const Refusals *refusals)
{
	int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int error = 0;
	RefusedRows refused = refused_rows(refusals, batch);
	const RefusalReason *reason;
	const BatchRow *row;
	Bytes lines = {0};

	if (file < 0)
		return errno;
	while (error == 0 && (row = refused_rows_next(&refused, &reason)) != NULL)
	{
		put_row(&lines, row, refused.cursor.tag, refused.cursor.tag_length, reason);
		if (lines.length >= PIECE_BYTES || refused.next == refusals->count)
		{
			error = write_all(file, &lines);
			lines.length = 0;
		}
	}
	bytes_free(&lines);
	if (error == 0 && fsync(file) != 0)
		error = errno;
	if (close(file) != 0 && error == 0)
		error = errno;
	return error;
}
