/*
 * dead_letter.c
 *	  The file of rows that PostgreSQL refused for good, as NDJSON.
 *
 * time, tag and values stand first and as they came, so that a line without its last two fields
 * can be posted again once the cause is gone.
 */
#include "dead_letter.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void
dead_letter_format(Bytes *lines, const BatchRow *row, const char *tag, uint32_t tag_length,
				   const char *sqlstate, const char *message)
{
	bytes_printf(lines, "{\"time\":%lld,\"tag\":", (long long) row->time_ns);
	bytes_json_string(lines, tag, tag_length);
	bytes_puts(lines, ",\"values\":[");
	for (uint32_t i = 0; i < row->value_count; i++)
		bytes_printf(lines, "%s%.17g", i > 0 ? "," : "", row->values[i]);
	bytes_printf(lines, "],\"sqlstate\":\"%s\",\"message\":", sqlstate);
	bytes_json_string(lines, message, strlen(message));
	bytes_puts(lines, "}\n");
}

int
dead_letter_write(const char *path, const Bytes *lines)
{
	int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	size_t done = 0;
	int error = 0;

	if (file < 0)
		return errno;
	while (done < lines->length && error == 0)
	{
		ssize_t written = write(file, lines->data + done, lines->length - done);

		if (written >= 0)
			done += (size_t) written;
		else if (errno != EINTR)
			error = errno;
	}
	if (error == 0 && fsync(file) != 0)
		error = errno;
	if (close(file) != 0 && error == 0)
		error = errno;
	return error;
}
