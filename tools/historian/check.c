/*
 * check.c
 *	  historian check: verifies a table by historian.check().
 */
#include <stdio.h>

#include "arguments.h"
#include "commands.h"
#include "connection.h"
#include "target.h"

static const char usage[] =
	"historian check: reads every segment of a table and verifies it\n"
	"\n"
	"usage: historian check [OPTION]...\n"
	"\n"
	"Loads and reads go on meanwhile. It needs the ownership of the table.\n"
	"\n"
	"Connection:\n" ARGUMENTS_COMMON_HELP "\n"
	"Exits with 0 if the table is intact, and with 1 after an error or a finding.\n";

int
command_check(int argc, char **argv)
{
	static const struct option options[] = {ARGUMENTS_COMMON, {NULL, 0, NULL, 0}};
	Arguments arguments;
	PGconn *connection;
	PGresult *result;
	Target target;
	const char *name;
	int count;

	arguments_init(&arguments);
	while (arguments_next(&arguments, argc, argv, ARGUMENTS_COMMON_SHORT, options, usage, &name) !=
		   -1)
		;
	if (optind < argc)
		arguments_fail("check takes options only; -t names the table");
	connection = connection_open(&arguments);
	target_open(&target, connection, arguments.table);
	result = connection_query(connection,
							  "SELECT block, item, tag, historian.to_timestamptz(first_time),"
							  " historian.to_timestamptz(last_time), problem"
							  " FROM historian.check($1::oid::regclass)",
							  1, (const char *const[]){target.oid});
	count = PQntuples(result);
	for (int i = 0; i < count; i++)
		printf("block %s, item %s, tag %s, %s to %s: %s\n", PQgetvalue(result, i, 0),
			   PQgetvalue(result, i, 1), PQgetvalue(result, i, 2), PQgetvalue(result, i, 3),
			   PQgetvalue(result, i, 4), PQgetvalue(result, i, 5));
	if (count == 0)
		printf("%s is intact\n", target.name);
	else
		printf("%d faults of %s: restore it from a backup, or delete the times that are named\n",
			   count, target.name);
	PQclear(result);
	target_close(&target);
	PQfinish(connection);
	return count == 0 ? 0 : EXIT_FAILED;
}
