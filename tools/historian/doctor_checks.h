/*
 * doctor_checks.h
 *	  What the doctor looks at.
 */
#ifndef HISTORIAN_DOCTOR_CHECKS_H
#define HISTORIAN_DOCTOR_CHECKS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "arguments.h"
#include "report.h"
#include "tls_client.h"

typedef struct DoctorLimits
{
	double clock_s;			/* the greatest difference between clocks */
	double free_percent;	/* the least room on a disk */
	uint64_t lag_bytes;		/* the most WAL that a standby or a slot is behind */
	uint64_t backlog_bytes; /* the most that waits for compaction, for each tag that has some */
} DoctorLimits;

/* Connects, and reports why that fails.  Returns NULL then. */
extern PGconn *doctor_connect(Report *report, const Arguments *arguments);

/* Returns false if the extension is not there, so that nothing else can be asked. */
extern bool doctor_check_extension(Report *report, PGconn *connection);
extern void doctor_check_worker(Report *report, PGconn *connection);

/* Returns false if there is no table that can be loaded. */
extern bool doctor_check_table(Report *report, PGconn *connection, const char *table);
extern void doctor_check_privileges(Report *report, PGconn *connection, const char *table);
extern void doctor_check_backlog(Report *report, PGconn *connection, const char *table,
								 const DoctorLimits *limits);
extern void doctor_check_retention(Report *report, PGconn *connection, const char *table);

extern void doctor_check_replication(Report *report, PGconn *connection,
									 const DoctorLimits *limits);
extern void doctor_check_clock(Report *report, PGconn *connection, const DoctorLimits *limits);
extern void doctor_check_disk(Report *report, PGconn *connection, const DoctorLimits *limits);

/* historiand, at an address such as http://127.0.0.1:8080. */
extern void doctor_check_historiand(Report *report, const char *url, const char *headers,
									const TlsClient *tls, const DoctorLimits *limits);

#endif /* HISTORIAN_DOCTOR_CHECKS_H */
