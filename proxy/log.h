/*
 * log.h
 *	  Log lines on standard error: time, level, text.  One line an event, where it is handled.
 */
#ifndef HISTORIAND_LOG_H
#define HISTORIAND_LOG_H

typedef enum LogLevel
{
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARNING,
	LOG_ERROR,
} LogLevel;

/* Lines below this level are dropped.  Set once at start, before there are threads. */
extern void log_set_level(LogLevel level);

extern void log_line(LogLevel level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...)	 log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_error(...)	 log_line(LOG_ERROR, __VA_ARGS__)

#endif /* HISTORIAND_LOG_H */
