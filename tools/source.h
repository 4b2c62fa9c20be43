/*
 * source.h
 *	  Where the producer's messages come from, and when each is due: a workload or a file.
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

/* The first so many messages of a workload, which must outlive the source. */
extern Source *source_open_workload(const Workload *workload, uint64_t messages);
/* The lines of an NDJSON file, plain or gzip; ends the process when it cannot be read. */
extern Source *source_open_file(const char *path);
extern void source_close(Source *source);

/*
 * Without this call a message of a workload is due at its own time, and a line at once.  With it
 * so many messages a second are due from now on, whatever their time; 0 for all at once.
 */
extern void source_set_max_rate(Source *source, uint64_t rate);

/* How many messages, counted from the first, are due at the time; SOURCE_UNLIMITED for all. */
extern uint64_t source_due(const Source *source, int64_t now_ns);

/* Appends messages, a line each, until so many are read or the source ends; returns how many. */
extern uint32_t source_read(Source *source, uint32_t max_messages, Text *text);

extern uint64_t source_messages_read(const Source *source);
extern bool source_ended(const Source *source);

#endif
