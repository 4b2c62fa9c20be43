/*
 * doctor_server.c
 *	  What the doctor looks at in the server: that it answers, the extension, and the background worker.
 */
#include <stdio.h>
#include <string.h>

#include "connection.h"
#include "doctor_checks.h"

/* PostgreSQL's major versions that are supported. */
static const int supported[] = {15, 17, 18};

/* The text up to its line end. */
static int
line_length(const char *text)
{
	return (int) strcspn(text, "\n");
}

/*
 * What cures that there is no connection.  libpq has no SQLSTATE for it, but the server's messages
 * about it are in English unless lc_messages says otherwise.
 */
static const char *
connection_cure(const char *message)
{
	static const struct
	{
		const char *part;
		const char *cure;
	} cures[] = {
		{"Connection refused", "start PostgreSQL, or give its port by -p (SHOW port); over TCP it "
							   "listens on listen_addresses"},
		{"No such file or directory", "start PostgreSQL, or give the directory of its socket by -h "
									  "(SHOW unix_socket_directories)"},
		{"translate host name", "give a host that the name service knows by -h"},
		{"timeout expired", "look for a firewall between, or give another host by -h"},
		{"password authentication failed",
		 "give the right password: PGPASSWORD, or a line in ~/.pgpass"},
		{"no password supplied", "give the password: PGPASSWORD, or a line in ~/.pgpass"},
		{"starting up", "wait until PostgreSQL has started; its log tells how far it is"},
		{"shutting down", "start PostgreSQL again"},
		{"too many clients", "raise max_connections, or end connections that nobody uses"},
		{"pg_hba.conf",
		 "add a line for this role, database and address to pg_hba.conf, and reload"},
		{"Peer authentication failed", "run this as the user of that name, or give a role by -U"},
		{"role \"", "CREATE ROLE makes it, and -U names another one"},
		{"database \"", "CREATE DATABASE makes it, and -d names another one"},
	};

	for (size_t i = 0; i < sizeof(cures) / sizeof(cures[0]); i++)
	{
		if (strstr(message, cures[i].part) != NULL)
			return cures[i].cure;
	}
	return "look into the server's log";
}

PGconn *
doctor_connect(Report *report, const Arguments *arguments)
{
	PGconn *connection = connection_try(arguments);
	const char *message = PQerrorMessage(connection);
	int version = PQserverVersion(connection);

	if (PQstatus(connection) != CONNECTION_OK)
	{
		report_finding(report, "server", connection_cure(message), "%.*s", line_length(message),
					   message);
		PQfinish(connection);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(supported) / sizeof(supported[0]); i++)
	{
		if (version / 10000 == supported[i])
		{
			report_good(report, "server", "PostgreSQL %s, database %s, role %s",
						PQparameterStatus(connection, "server_version"), PQdb(connection),
						PQuser(connection));
			return connection;
		}
	}
	report_finding(report, "server", "use PostgreSQL 15, 17 or 18",
				   "PostgreSQL %s is not supported",
				   PQparameterStatus(connection, "server_version"));
	return connection;
}

/* Is the first version, such as 0.3, that of the program, such as 0.3.1? */
static bool
same_version(const char *extension)
{
	size_t length = strlen(extension);

	return strncmp(extension, HISTORIAN_VERSION, length) == 0 &&
		   (HISTORIAN_VERSION[length] == '.' || HISTORIAN_VERSION[length] == '\0');
}

bool
doctor_check_extension(Report *report, PGconn *connection)
{
	PGresult *result = report_query(
		report, "extension", connection,
		"SELECT (SELECT extversion FROM pg_extension WHERE extname = 'historian'),"
		" (SELECT default_version FROM pg_available_extensions WHERE name = 'historian')",
		0, NULL);
	const char *installed;
	const char *available;
	bool there;

	if (result == NULL)
		return false;
	installed = PQgetvalue(result, 0, 0);
	available = PQgetvalue(result, 0, 1);
	there = !PQgetisnull(result, 0, 0);
	if (PQgetisnull(result, 0, 1))
		report_finding(report, "extension",
					   "install the package postgresql-NN-historian, or run make install, for this "
					   "PostgreSQL",
					   "the server has no files of the extension historian");
	else if (!there)
		report_finding(report, "extension", "CREATE EXTENSION historian",
					   "it is not in database %s", PQdb(connection));
	else if (strcmp(installed, available) != 0)
		report_finding(report, "extension",
					   "ALTER EXTENSION historian UPDATE, after a restart of PostgreSQL",
					   "database %s has version %s, and the server's files are of version %s",
					   PQdb(connection), installed, available);
	else if (!same_version(installed))
		report_finding(report, "extension", "install programs and extension of one version",
					   "its version is %s, and that of this program %s", installed,
					   HISTORIAN_VERSION);
	else
		report_good(report, "extension", "version %s", installed);
	PQclear(result);
	return there;
}

void
doctor_check_worker(Report *report, PGconn *connection)
{
	PGresult *result =
		report_query(report, "worker", connection,
					 "SELECT w.preloaded, w.enabled, w.launcher_pid, w.rounds,"
					 " EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = w.launcher_pid)"
					 " FROM historian.stat_worker w",
					 0, NULL);

	if (result == NULL)
		return;
	if (PQgetvalue(result, 0, 0)[0] != 't')
		report_finding(
			report, "preload",
			"ALTER SYSTEM SET shared_preload_libraries = 'historian' (with those that it "
			"has), and restart PostgreSQL",
			"shared_preload_libraries does not have historian: nothing compacts in the "
			"background");
	else if (PQgetvalue(result, 0, 1)[0] != 't')
		report_finding(report, "worker",
					   "ALTER SYSTEM RESET historian.compaction, and SELECT pg_reload_conf()",
					   "historian.compaction is off: nothing compacts in the background");
	else if (PQgetvalue(result, 0, 4)[0] != 't')
		report_finding(report, "worker",
					   "look into the server's log; a restart of PostgreSQL starts it again",
					   "the launcher of background compaction does not run");
	else
		report_good(report, "worker", "background compaction runs, %s rounds since the start",
					PQgetvalue(result, 0, 3));
	PQclear(result);
}
