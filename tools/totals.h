/*
 * totals.h
 *	  Does the server have every message that a producer sent, tag by tag?
 */
#ifndef TOTALS_H
#define TOTALS_H

#include <stdio.h>

#include "announcement.h"

/*
 * Compares lines of "tag count first-time last-time", with tabs between, as COPY TO writes them,
 * with the workload of a producer that has ended; prints what differs and a summary; returns 0
 * when nothing does.
 */
extern int totals_check(const Announcement *announcement, FILE *lines);

#endif
