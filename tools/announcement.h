/*
 * announcement.h
 *	  The message, of a reserved tag, by which a producer tells clients its workload.
 *
 * A client reads the latest one through GET /api, so that producer and client share nothing but the
 * server.
 */
#ifndef ANNOUNCEMENT_H
#define ANNOUNCEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workload.h"

#define ANNOUNCEMENT_TAG "historian-producer"

typedef struct Announcement
{
	WorkloadOptions workload;
	uint64_t messages; /* that were acknowledged, if the producer has ended */
	bool ended;
} Announcement;

/* Writes an announcement as a JSON message of that time, and returns the length. */
extern size_t announcement_json(const Announcement *announcement, int64_t time_ns, char *out,
								size_t out_bytes);
/* Reads the values of a message; false if these are not those of an announcement. */
extern bool announcement_read(Announcement *announcement, const double *values, size_t count);

#endif
