/*
 * announcement.h
 *	  How a producer tells clients which workload it sends: a message of a reserved tag.
 *
 * The client reads the latest one through GET /api, so producer and client need to share nothing
 * but the server.
 */
#ifndef ANNOUNCEMENT_H
#define ANNOUNCEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workload.h"

#define ANNOUNCEMENT_TAG	"historian-producer"
#define ANNOUNCEMENT_VALUES 12

typedef struct Announcement
{
	WorkloadOptions workload;
	uint64_t messages; /* sent and acknowledged in all, once the producer has ended */
	bool ended;
} Announcement;

/* As a JSON message with the given time; returns the length. */
extern size_t announcement_json(const Announcement *announcement, int64_t time_ns, char *out,
								size_t out_bytes);
/* False when these are not the values of an announcement. */
extern bool announcement_read(Announcement *announcement, const double *values, size_t count);

#endif
