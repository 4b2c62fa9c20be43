/*
 * totals.h
 *	  Checks that the server has every message that a producer sent, tag by tag.
 */
#ifndef TOTALS_H
#define TOTALS_H

#include <stdio.h>

#include "announcement.h"

/*
 * Compares lines of tag, count, first and last time, separated by tabs as COPY TO writes them, with
 * the workload of a producer that has ended.  Prints the differences and a summary.  Returns 0 if
 * there are no differences.
 */
extern int totals_check(const Announcement *announcement, FILE *lines);

#endif
