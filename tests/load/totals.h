/*
 * totals.h
 *	  Does the server have every message that a producer sent, tag by tag?
 */
#ifndef TOTALS_H
#define TOTALS_H

#include <stddef.h>

#include "announcement.h"

/*
 * Compares the answer of GET /tags with the workload of a producer that has ended, prints what
 * differs and a summary; returns 0 when nothing does.
 */
extern int totals_check(const Announcement *announcement, const char *json, size_t bytes);

#endif
