/*
 * import_state.c
 *	  How far the import of a source has come, in historian.import_progress.
 *
 * A batch's transaction locks the row of the source and compares it with what this import knows.  A
 * server process whose client was killed has the lock until its transaction has ended.  So no other
 * lock is needed, and a pooler of connections does no harm.
 */
#include "import_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include "connection.h"

#define LOCK_NOT_AVAILABLE "55P03"
#define NUMBER_BYTES	   24

/* A file is known again by a hash of its first bytes; it may have grown since. */
#define HEAD_BYTES		4096
#define HEAD_TEXT_BYTES 48

static uint64_t
number(const PGresult *result, int column)
{
	return strtoull(PQgetvalue(result, 0, column), NULL, 10);
}

/*
 * Writes how the file begins, as the number of its first bytes, at most the limit, and their hash
 * (FNV-1a).
 */
static void
describe_head(const char *path, size_t limit, char text[HEAD_TEXT_BYTES])
{
	unsigned char head[HEAD_BYTES];
	uint64_t hash = UINT64_C(14695981039346656037);
	ssize_t length = 0;
	int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (file >= 0)
	{
		length = read(file, head, limit < HEAD_BYTES ? limit : HEAD_BYTES);
		close(file);
	}
	for (ssize_t i = 0; i < length; i++)
		hash = (hash ^ head[i]) * UINT64_C(1099511628211);
	snprintf(text, HEAD_TEXT_BYTES, "%zd:%016llx", length < 0 ? 0 : length,
			 (unsigned long long) hash);
}

/* Selects the row and locks it until the end of the transaction. */
static PGresult *
select_locked(const ImportState *state, PGconn *connection, const Target *target)
{
	const char *parameters[] = {target->oid, state->source};
	PGresult *result =
		PQexecParams(connection,
					 "SELECT bytes, lines, rows, rejected, rejects_bytes, finished IS NOT NULL,"
					 " options, head FROM historian.import_progress"
					 " WHERE relid = $1::oid AND source = $2::text FOR UPDATE",
					 2, NULL, parameters, NULL, NULL, 0);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (sqlstate != NULL && strcmp(sqlstate, LOCK_NOT_AVAILABLE) == 0)
		connection_fail_with(
			"another import of %s is under way\n"
			"  hint: wait for its end; pg_stat_activity shows it as the application "
			"\"historian\"",
			state->source);
	if (sqlstate != NULL && (strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "3F000") == 0))
		connection_fail_with(
			"the extension historian of database \"%s\" is missing or older than this "
			"program\n"
			"  hint: CREATE EXTENSION historian, or ALTER EXTENSION historian UPDATE",
			PQdb(connection));
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		connection_fail(connection, result);
	return result;
}

static void
read_row(ImportState *state, const PGresult *result)
{
	char head[HEAD_TEXT_BYTES];

	if (strcmp(PQgetvalue(result, 0, 6), state->options) != 0)
		connection_fail_with("%s was imported as \"%s\" before, and now it is \"%s\"\n"
							 "  hint: give the same options to go on, or --restart to begin anew",
							 state->source, PQgetvalue(result, 0, 6), state->options);
	describe_head(state->path, strtoul(PQgetvalue(result, 0, 7), NULL, 10), head);
	if (strcmp(PQgetvalue(result, 0, 7), head) != 0)
		connection_fail_with(
			"%s is not the file of this name that was imported before\n"
			"  hint: --restart imports it from its begin, --name gives it another name",
			state->source);
	state->bytes = number(result, 0);
	state->lines = number(result, 1);
	state->rows = number(result, 2);
	state->rejected = number(result, 3);
	state->rejects_bytes = number(result, 4);
	state->finished = PQgetvalue(result, 0, 5)[0] == 't';
}

/*
 * Has any row of the file been loaded?  If not, an attempt has failed at once, or everything was rejected, and
 * the next one may have other options, or a file that was mended.
 */
static bool
has_begun(const PGresult *result)
{
	return number(result, 2) > 0;
}

void
import_state_open(ImportState *state, PGconn *connection, const Target *target, bool restart)
{
	char head[HEAD_TEXT_BYTES];
	const char *parameters[] = {target->oid, state->source, state->options, head};
	PGresult *result;

	if (state->source == NULL)
		return;
	connection_run(connection, "BEGIN");
	connection_run(connection, "SET LOCAL lock_timeout = '10s'");
	result = select_locked(state, connection, target);
	describe_head(state->path, HEAD_BYTES, head);
	if (PQntuples(result) == 1 && !restart && has_begun(result))
		read_row(state, result);
	else
		PQclear(connection_query(
			connection,
			"INSERT INTO historian.import_progress (relid, source, options, head)"
			" VALUES ($1::oid, $2, $3, $4) ON CONFLICT (relid, source) DO UPDATE SET"
			" options = excluded.options, head = excluded.head, bytes = 0, lines = 0, rows = 0, "
			"rejected = 0, rejects_bytes = 0, started = now(),"
			" updated = now(), finished = NULL",
			4, parameters));
	PQclear(result);
	connection_run(connection, "COMMIT");
}

void
import_state_lock(const ImportState *state, PGconn *connection, const Target *target)
{
	PGresult *result;

	if (state->source == NULL)
		return;
	result = select_locked(state, connection, target);
	if (PQntuples(result) == 0 || number(result, 0) != state->bytes)
		connection_fail_with("another import of %s has gone on from byte %llu\n"
							 "  hint: let one import of a source run at a time",
							 state->source, (unsigned long long) state->bytes);
	PQclear(result);
}

void
import_state_write(const ImportState *state, PGconn *connection, const Target *target)
{
	char numbers[5][NUMBER_BYTES];
	const uint64_t values[] = {state->bytes, state->lines, state->rows, state->rejected,
							   state->rejects_bytes};
	const char *parameters[8];

	if (state->source == NULL)
		return;
	parameters[0] = target->oid;
	parameters[1] = state->source;
	for (int i = 0; i < 5; i++)
	{
		snprintf(numbers[i], NUMBER_BYTES, "%llu", (unsigned long long) values[i]);
		parameters[2 + i] = numbers[i];
	}
	parameters[7] = state->finished ? "true" : "false";
	PQclear(connection_query(
		connection,
		"UPDATE historian.import_progress SET bytes = $3::bigint, lines = $4::bigint,"
		" rows = $5::bigint, rejected = $6::bigint, rejects_bytes = $7::bigint,"
		" updated = clock_timestamp(),"
		" finished = CASE WHEN $8::boolean THEN clock_timestamp() END"
		" WHERE relid = $1::oid AND source = $2::text",
		8, parameters));
}
