/*
 * log.c
 *	  Log lines on standard error: time, level, text.
 *
 * A line is built in a local buffer and written with one write(), so that lines of several
 * threads do not mix.  Control characters of foreign text (PostgreSQL's messages have line ends)
 * become spaces: one event stays one line.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static LogLevel log_level = LOG_INFO;

void
log_set_level(LogLevel level)
{
	log_level = level;
}

void
log_line(LogLevel level, const char *format, ...)
{
	static const char *const names[] = {"debug", "info", "warning", "error"};
	char line[2048];
	struct timespec now;
	struct tm utc;
	size_t start;
	size_t length;
	int text;
	va_list args;
	ssize_t written;

	if (level < log_level)
		return;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	start = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &utc);
	start += (size_t) snprintf(line + start, sizeof(line) - start,
							   ".%03ldZ %s: ", now.tv_nsec / 1000000, names[level]);
	va_start(args, format);
	text = vsnprintf(line + start, sizeof(line) - start - 1, format, args);
	va_end(args);
	if (text < 0)
		return;

	length = start + (size_t) text;
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	while (length > start && (unsigned char) line[length - 1] <= ' ')
		length--;
	for (size_t i = start; i < length; i++)
	{
		if ((unsigned char) line[i] < ' ')
			line[i] = ' ';
	}
	line[length] = '\n';
	/* Nobody can be told that the log cannot be written. */
	written = write(STDERR_FILENO, line, length + 1);
	(void) written;
}
