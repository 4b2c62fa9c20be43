/*
 * doctor_machine.c
 *	  What the doctor looks at around the server: standbys, clocks and disks.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "doctor_checks.h"

/* Slots that keep WAL back, because nobody reads from them or it is far behind. */
static void
check_slots(Report *report, PGconn *connection, const DoctorLimits *limits)
{
	PGresult *result = report_query(
		report, "slots", connection,
		"SELECT slot_name, active, wal_status, coalesce(pg_wal_lsn_diff(CASE WHEN "
		"pg_is_in_recovery()"
		" THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn), 0)"
		" FROM pg_replication_slots ORDER BY slot_name",
		0, NULL);
	int findings = report->findings;

	if (result == NULL)
		return;
	for (int i = 0; i < PQntuples(result); i++)
	{
		const char *name = PQgetvalue(result, i, 0);
		double bytes = atof(PQgetvalue(result, i, 3));

		if (strcmp(PQgetvalue(result, i, 2), "lost") == 0)
			report_finding(report, "slots", "build that standby anew, and drop the slot",
						   "slot %s has lost WAL that its standby needs", name);
		else if (PQgetvalue(result, i, 1)[0] != 't')
			report_finding(
				report, "slots", "start its standby, or SELECT pg_drop_replication_slot('...')",
				"nobody reads from slot %s, which keeps %.1f MB of WAL", name, bytes / 1e6);
		else if (bytes > (double) limits->lag_bytes)
			report_finding(report, "slots", "look at the standby's log, disk and network",
						   "slot %s is %.1f MB behind", name, bytes / 1e6);
	}
	if (report->findings == findings)
		report_good(report, "slots", "%d", PQntuples(result));
	PQclear(result);
}

void
doctor_check_replication(Report *report, PGconn *connection, const DoctorLimits *limits)
{
	PGresult *result = report_query(
		report, "standbys", connection,
		"SELECT pg_is_in_recovery(), current_setting('synchronous_standby_names') <> '',"
		" count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),"
		" coalesce(max(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
		"  ELSE pg_current_wal_lsn() END, replay_lsn)), 0),"
		" pg_has_role('pg_monitor', 'USAGE')"
		" FROM pg_stat_replication",
		0, NULL);

	check_slots(report, connection, limits);
	if (result == NULL)
		return;
	if (PQgetvalue(result, 0, 0)[0] == 't')
		report_good(report, "standbys", "this server is a standby itself: it answers reads only");
	else if (PQgetvalue(result, 0, 5)[0] != 't')
		report_unseen(report, "standbys", "the state of standbys is for members of pg_monitor");
	else if (PQgetvalue(result, 0, 1)[0] == 't' && PQgetvalue(result, 0, 3)[0] == '0')
		report_finding(
			report, "standbys",
			"start the standby; ALTER SYSTEM RESET synchronous_standby_names goes on "
			"without it, and commits are then on one machine alone",
			"commits wait for a standby (synchronous_standby_names), and none is connected");
	else if (atof(PQgetvalue(result, 0, 4)) > (double) limits->lag_bytes)
		report_finding(report, "standbys", "look at the standby's log, disk and network",
					   "a standby is %.1f MB behind", atof(PQgetvalue(result, 0, 4)) / 1e6);
	else
		report_good(report, "standbys", "%s connected, %s of them synchronous",
					PQgetvalue(result, 0, 2), PQgetvalue(result, 0, 3));
	PQclear(result);
}

void
doctor_check_clock(Report *report, PGconn *connection, const DoctorLimits *limits)
{
	int64_t before = timestamp_now();
	PGresult *result = report_query(report, "clock", connection,
									"SELECT historian.to_ns(clock_timestamp())", 0, NULL);
	int64_t after = timestamp_now();
	double difference;

	if (result == NULL)
		return;
	difference =
		(double) (strtoll(PQgetvalue(result, 0, 0), NULL, 10) - before - (after - before) / 2) /
		1e9;
	/* The answer says no more than that the clock was read between. */
	if (fabs(difference) - (double) (after - before) / 2e9 > limits->clock_s)
		report_finding(report, "clock",
					   "run a time service (chrony, systemd-timesyncd) on both machines",
					   "the database's clock is %.3f s %s that of this machine", fabs(difference),
					   difference > 0 ? "ahead of" : "behind");
	else
		report_good(report, "clock", "the database's differs by %.3f s", fabs(difference));
	PQclear(result);
}

static void
check_directory(Report *report, const char *directory, const DoctorLimits *limits)
{
	struct statvfs status;
	double percent;
	double free_bytes;

	if (statvfs(directory, &status) != 0)
	{
		report_unseen(report, "disk", "%s: %s", directory, strerror(errno));
		return;
	}
	free_bytes = (double) status.f_bavail * (double) status.f_frsize;
	percent = status.f_blocks > 0 ? 100.0 * (double) status.f_bavail / (double) status.f_blocks : 0;
	if (percent < limits->free_percent)
		report_finding(report, "disk",
					   "remove old rows (historian.set_retention) and VACUUM, or enlarge the disk",
					   "%s has %.1f GB free, %.1f %%", directory, free_bytes / 1e9, percent);
	else
		report_good(report, "disk", "%s has %.1f GB free, %.1f %%", directory, free_bytes / 1e9,
					percent);
}

/* Is the server on this machine, as far as its address tells? */
static bool
is_local(PGconn *connection)
{
	const char *host = PQhost(connection);

	return host == NULL || host[0] == '/' || host[0] == '@' || host[0] == '\0' ||
		   strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
		   strcmp(host, "::1") == 0;
}

void
doctor_check_disk(Report *report, PGconn *connection, const DoctorLimits *limits)
{
	PGresult *result;

	if (!is_local(connection))
	{
		report_unseen(report, "disk",
					  "the server is on another machine; run historian doctor there");
		return;
	}
	result = report_query(report, "disk", connection,
						  "SELECT current_setting('data_directory') UNION ALL"
						  " SELECT pg_tablespace_location(oid) FROM pg_tablespace"
						  " WHERE pg_tablespace_location(oid) <> ''",
						  0, NULL);
	for (int i = 0; result != NULL && i < PQntuples(result); i++)
		check_directory(report, PQgetvalue(result, i, 0), limits);
	PQclear(result);
}
