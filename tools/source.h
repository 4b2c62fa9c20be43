/*
 * source.h
 *	  The source of the producer's messages, a workload or a file, and when each message is due.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workload.h"

#define SOURCE_UNLIMITED UINT64_MAX

typedef struct Source Source;

/* Bytes that grow. */
typedef struct Text
{
	char *data;
	size_t bytes;
	size_t allocated;
} Text;

/* The source is the first so many messages of a workload, which must outlive it. */
extern Source *source_open_workload(const Workload *workload, uint64_t messages);
/*
 * The source is the lines of an NDJSON file, plain or gzip.  Ends the process if it cannot be read.
 */
extern Source *source_open_file(const char *path);
extern void source_close(Source *source);

/*
 * After this call so many messages a second are due, whatever their time; with 0, all are due at
 * once.  Without it a message of a workload is due at its own time, and a line of a file at once.
 */
extern void source_set_max_rate(Source *source, uint64_t rate);

/* How many messages, counted from the first, are due at that time; SOURCE_UNLIMITED: all. */
extern uint64_t source_due(const Source *source, int64_t now_ns);

/*
 * Appends at most so many messages, each as a line, and returns how many; fewer if the source ends.
 */
extern uint32_t source_read(Source *source, uint32_t max_messages, Text *text);

extern uint64_t source_messages_read(const Source *source);
extern bool source_ended(const Source *source);

#endif
