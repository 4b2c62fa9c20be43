/*
 * log.h
 *	  Log lines on standard error, as text or as JSON: one line for each event, where it is handled.
 */
#ifndef HISTORIAND_LOG_H
#define HISTORIAND_LOG_H

#include <stdbool.h>

typedef enum LogLevel
{
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARNING,
	LOG_ERROR,
	LOG_AUDIT, /* who did what; it is written whatever the level is */
} LogLevel;

typedef enum LogFormat
{
	LOG_TEXT, /* time level: message name=value .. */
	LOG_JSON, /* {"time":..,"level":..,"message":..,"name":value,..} */
} LogFormat;

/* A named value that is logged with an event's message. */
typedef struct LogField
{
	const char *name;
	const char *value; /* NULL or "": the field is left out */
	bool number;	   /* value is the text of a number */
} LogField;

/* Lines below this level are dropped.  Any thread may change it at any time. */
extern void log_set(LogLevel level, LogFormat format);

/* Is a line of this level written?  Asked before values are gathered at some cost. */
extern bool log_enabled(LogLevel level);

extern void log_line(LogLevel level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last field has no name, and ends the list. */
extern void log_event(LogLevel level, const LogField *fields, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_debug(...)	 log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_error(...)	 log_line(LOG_ERROR, __VA_ARGS__)

#endif /* HISTORIAND_LOG_H */
