/*
 * log.c
 *	  Log lines on standard error, as text or as JSON.
 *
 * A line is built in a local buffer and written with one write(), so that lines of several threads
 * do not mix.  Nothing is allocated, so that a lack of memory can be logged.  Control characters of
 * foreign text (PostgreSQL's messages have line ends) become spaces, so that one event is one
 * line.  In JSON, a byte that is not UTF-8 becomes a question mark, so that a line is always valid.
 */
#include "base/log.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_MESSAGE_BYTES 2048
#define MAX_LINE_BYTES	  6144

typedef struct Line
{
	char text[MAX_LINE_BYTES];
	size_t length;
} Line;

static _Atomic LogLevel log_level = LOG_INFO;
static _Atomic LogFormat log_format = LOG_TEXT;

static void put_event(LogLevel level, const LogField *fields, const char *format, va_list args);
static void put(Line *line, const char *text);
static void put_foreign(Line *line, const char *text, bool escape);
static void put_field(Line *line, const LogField *field);

void
log_set(LogLevel level, LogFormat format)
{
	log_level = level;
	log_format = format;
}

bool
log_enabled(LogLevel level)
{
	return level >= log_level;
}

void
log_line(LogLevel level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_event(level, NULL, format, args);
	va_end(args);
}

void
log_event(LogLevel level, const LogField *fields, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_event(level, fields, format, args);
	va_end(args);
}

/* Builds one line and writes it. */
static void
put_event(LogLevel level, const LogField *fields, const char *format, va_list args)
{
	static const char *const names[] = {"debug", "info", "warning", "error", "audit"};
	char message[MAX_MESSAGE_BYTES];
	char seconds[32];
	char milliseconds[32];
	struct timespec now;
	struct tm utc;
	Line line;
	size_t length;
	ssize_t written;

	if (level < log_level || vsnprintf(message, sizeof(message), format, args) < 0)
		return;
	length = strlen(message);
	while (length > 0 && (unsigned char) message[length - 1] <= ' ')
		message[--length] = '\0';

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(milliseconds, sizeof(milliseconds), ".%03ldZ", now.tv_nsec / 1000000);
	line.length = 0;
	put(&line, log_format == LOG_JSON ? "{\"time\":\"" : "");
	put(&line, seconds);
	put(&line, milliseconds);
	put(&line, log_format == LOG_JSON ? "\",\"level\":\"" : " ");
	put(&line, names[level]);
	put(&line, log_format == LOG_JSON ? "\",\"message\":\"" : ": ");
	put_foreign(&line, message, log_format == LOG_JSON);
	put(&line, log_format == LOG_JSON ? "\"" : "");
	for (; fields != NULL && fields->name != NULL; fields++)
	{
		if (fields->value != NULL && fields->value[0] != '\0')
			put_field(&line, fields);
	}
	put(&line, log_format == LOG_JSON ? "}\n" : "\n");
	/* If the log cannot be written, there is no place to report that. */
	written = write(STDERR_FILENO, line.text, line.length);
	(void) written;
}

/* Appends text of this program; put_foreign() leaves room for it. */
static void
put(Line *line, const char *text)
{
	size_t length = strlen(text);

	if (length > sizeof(line->text) - line->length)
		length = sizeof(line->text) - line->length;
	memcpy(line->text + line->length, text, length);
	line->length += length;
}

/* Appends any other text, and cuts it where the line would become too long. */
static void
put_foreign(Line *line, const char *text, bool escape)
{
	const char *end = text + strlen(text);

	while (text < end && line->length < sizeof(line->text) - 512)
	{
		size_t step = utf8_length(text, (size_t) (end - text));
		unsigned char c = (unsigned char) *text;

		if (c < ' ' || c == 0x7F)
			line->text[line->length++] = ' ';
		else if (step == 0 && escape)
			line->text[line->length++] = '?';
		else
		{
			if (escape && (c == '"' || c == '\\'))
				line->text[line->length++] = '\\';
			step = step > 0 ? step : 1;
			memcpy(line->text + line->length, text, step);
			line->length += step;
		}
		text += step > 0 ? step : 1;
	}
}

static void
put_field(Line *line, const LogField *field)
{
	bool json = log_format == LOG_JSON;
	bool quoted = !field->number && (json || strpbrk(field->value, " \"\\=") != NULL);

	/* A field that would be cut is left out. */
	if (strlen(field->name) + 2 * strlen(field->value) + 8 >
		sizeof(line->text) - 512 - line->length)
		return;
	put(line, json ? ",\"" : " ");
	put(line, field->name);
	put(line, json ? "\":" : "=");
	put(line, quoted ? "\"" : "");
	put_foreign(line, field->value, quoted);
	put(line, quoted ? "\"" : "");
}
