/*
 * doctor.c
 *	  historian doctor: looks for what is wrong around a table, and says what cures it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "arguments.h"
#include "commands.h"
#include "connection.h"
#include "doctor_checks.h"
#include "options.h"
#include "token_option.h"

static const char usage[] =
	"historian doctor: looks for what is wrong around a table, and says what cures it\n"
	"\n"
	"usage: historian doctor [OPTION]...\n"
	"\n"
	"It looks at the server, the extension, the table and its backlog, standbys, clocks and disks, "
	"and\n"
	"changes nothing. A member of pg_monitor sees most.\n"
	"\n"
	"  --url URL            look at historiand there, too, such as "
	"http://127.0.0.1:8080\n" TOKEN_OPTION_HELP TLS_CLIENT_HELP
	"  --max-clock S        the greatest difference between clocks, in seconds (2)\n"
	"  --min-free PERCENT   the least room on a disk (10)\n"
	"  --max-lag MB         the most WAL that a standby is behind (64)\n"
	"  --max-backlog KB     the most that waits for compaction, for each tag that has some (64)\n"
	"\n"
	"Connection:\n" ARGUMENTS_COMMON_HELP "\n"
	"Exits with 0 if nothing was found, with 1 after a finding, and with 2 for a wrong option.\n";

typedef struct Doctor
{
	Arguments arguments;
	const char *url;
	const char *token_file;
	TlsFiles files;
	DoctorLimits limits;
	Report report;
} Doctor;

static void
parse_options(Doctor *doctor, int argc, char **argv)
{
	enum
	{
		URL = ARGUMENT_OWN,
		MAX_CLOCK,
		MIN_FREE,
		MAX_LAG,
		MAX_BACKLOG,
		TOKEN_FILE,
		CA_FILE,
		CERTIFICATE,
		KEY
	};
	static const struct option options[] = {
		ARGUMENTS_COMMON,
		{"url", required_argument, NULL, URL},
		{"token-file", required_argument, NULL, TOKEN_FILE},
		TLS_CLIENT_OPTIONS(CA_FILE, CERTIFICATE, KEY),
		{"max-clock", required_argument, NULL, MAX_CLOCK},
		{"min-free", required_argument, NULL, MIN_FREE},
		{"max-lag", required_argument, NULL, MAX_LAG},
		{"max-backlog", required_argument, NULL, MAX_BACKLOG},
		{NULL, 0, NULL, 0},
	};
	const char *name;
	int option;

	arguments_init(&doctor->arguments);
	doctor->limits = (DoctorLimits){
		.clock_s = 2, .free_percent = 10, .lag_bytes = 64000000, .backlog_bytes = 64000};
	while ((option = arguments_next(&doctor->arguments, argc, argv, ARGUMENTS_COMMON_SHORT, options,
									usage, &name)) != -1)
	{
		switch (option)
		{
			case URL:
				doctor->url = optarg;
				break;
			case TOKEN_FILE:
				doctor->token_file = optarg;
				break;
			case CA_FILE:
				doctor->files.ca_file = optarg;
				break;
			case CERTIFICATE:
				doctor->files.certificate = optarg;
				break;
			case KEY:
				doctor->files.key = optarg;
				break;
			case MAX_CLOCK:
				doctor->limits.clock_s = (double) option_number(name, optarg, 0, 1000000);
				break;
			case MIN_FREE:
				doctor->limits.free_percent = (double) option_number(name, optarg, 0, 100);
				break;
			case MAX_LAG:
				doctor->limits.lag_bytes = option_number(name, optarg, 0, 1000000000) * 1000000;
				break;
			case MAX_BACKLOG:
				doctor->limits.backlog_bytes = option_number(name, optarg, 0, 1000000000) * 1000;
				break;
		}
	}
	if (optind < argc)
		arguments_fail("doctor takes options only; -t names the table");
}

/* Looks at what a connection shows. */
static void
examine_database(Doctor *doctor, PGconn *connection)
{
	Report *report = &doctor->report;
	const char *table = doctor->arguments.table;

	if (doctor_check_extension(report, connection))
	{
		doctor_check_worker(report, connection);
		if (doctor_check_table(report, connection, table))
		{
			doctor_check_privileges(report, connection, table);
			doctor_check_backlog(report, connection, table, &doctor->limits);
			doctor_check_retention(report, connection, table);
		}
		doctor_check_clock(report, connection, &doctor->limits);
	}
	doctor_check_replication(report, connection, &doctor->limits);
	doctor_check_disk(report, connection, &doctor->limits);
}

/* What https:// needs, from files that can be used; a wrong URL is a finding of its own. */
static TlsClient *
open_tls(const Doctor *doctor)
{
	ServerUrl url = {0};
	TlsClient *tls = NULL;

	if (doctor->url == NULL || server_url_parse(&url, doctor->url) == NULL)
		options_check(tls_client_open(&tls, &url, &doctor->files));
	return tls;
}

int
command_doctor(int argc, char **argv)
{
	static Doctor doctor;
	char headers[TOKEN_HEADER_BYTES];
	TlsClient *tls;
	PGconn *connection;

	parse_options(&doctor, argc, argv);
	options_check(token_option_header(doctor.token_file, headers, sizeof(headers)));
	tls = open_tls(&doctor);
	connection = doctor_connect(&doctor.report, &doctor.arguments);
	if (connection != NULL)
	{
		examine_database(&doctor, connection);
		PQfinish(connection);
	}
	if (doctor.url != NULL)
		doctor_check_historiand(&doctor.report, doctor.url, headers, tls, &doctor.limits);
	tls_client_close(tls);
	if (doctor.report.findings == 0)
		printf("nothing was found%s\n",
			   doctor.report.unseen > 0 ? ", but not all could be looked at" : "");
	else
		printf("%d finding%s\n", doctor.report.findings, doctor.report.findings > 1 ? "s" : "");
	return doctor.report.findings == 0 ? 0 : EXIT_FAILED;
}
