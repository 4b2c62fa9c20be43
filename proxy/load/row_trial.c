/*
 * row_trial.c
 *	  Inserts rows into a table one by one, so that each is taken or refused by itself.
 *
 * The next row is sent before the answer about the last one has come, because otherwise each row
 * would cost a round trip.  The statements of a row do the right thing whether the row before was
 * taken or not, since in libpq's pipeline an error skips all statements up to the next sync:
 *		ROLLBACK TO SAVEPOINT						undoes the row before if it was refused, or nothing
 *		INSERT; RELEASE SAVEPOINT; SAVEPOINT; sync	the middle two only if the row is taken
 * A ROLLBACK TO SAVEPOINT follows the last row.  There is only one sync a row, because libpq and
 * PostgreSQL send what they have at each sync, and so wake each other up.
 */
#include "load/row_trial.h"

#include "load/copy_format.h"
#include "base/memory.h"
#include "ingest/stage.h"

#define WINDOW_ROWS 64 /* sent before their answers are read */
#define MAX_ROW_BYTES                                                                              \
	(2 + 4 + sizeof(int64_t) + 4 + MESSAGE_MAX_TAG_BYTES + 4 + 20 + MESSAGE_MAX_VALUES * 12)

static void send_window(RowTrial *trial);
static void take_result(RowTrial *trial, const PGresult *result);

static void
send_statement(PGconn *pq, const char *sql)
{
	PQsendQueryParams(pq, sql, 0, NULL, NULL, NULL, NULL, 1);
}

void
row_trial_begin(RowTrial *trial, PgConnection *connection, const char *insert_sql,
				const Batch *batch, uint64_t first, uint64_t count, uint64_t deadline_ns,
				Refusals *refusals)
{
	PGconn *pq = pg_connection_pq(connection);

	*trial = (RowTrial){
		.connection = connection,
		.insert_sql = insert_sql,
		.refusals = refusals,
		.first = first,
		.count = count,
		.deadline_ns = deadline_ns,
	};
	batch_cursor_seek(&trial->cursor, batch, first);
	PQenterPipelineMode(pq);
	send_window(trial);
}

bool
row_trial_advance(RowTrial *trial)
{
	PGconn *pq = pg_connection_pq(trial->connection);
	bool all;

	if (!pg_connection_flush(trial->connection, &all))
		return false;
	for (;;)
	{
		PGresult *result;

		if (trial->answered == trial->sent + trial->ended)
		{
			if (trial->ended || sql_failure_is_set(&trial->failure))
			{
				PQexitPipelineMode(pq);
				return true;
			}
			if (trial->deadline_ns != 0 && uv_hrtime() >= trial->deadline_ns)
				trial->count = trial->sent;
			send_window(trial);
		}
		if (PQisBusy(pq))
			return false;
		result = PQgetResult(pq);
		if (result != NULL)
			take_result(trial, result);
		else if (PQstatus(pq) != CONNECTION_OK)
			return false;
		PQclear(result);
	}
}

/* Sends the statements of the next row. */
static void
send_row(RowTrial *trial)
{
	static const Oid types[] = {20, 25, 1022}; /* bigint, text, float8[] */
	static const int formats[] = {1, 1, 1};
	PGconn *pq = pg_connection_pq(trial->connection);
	const BatchRow *row = batch_cursor_next(&trial->cursor);
	uint32_t tag_length = trial->cursor.tag_length;
	/* A row has the form of COPY: the number of fields, then each field after its length. */
	char fields[MAX_ROW_BYTES];
	char *end = copy_format_row(fields, row->time_ns, row->values, row->value_count,
								trial->cursor.tag, tag_length);
	const char *time = fields + 2 + 4;
	const char *tag = time + sizeof(int64_t) + 4;
	const char *array = tag + tag_length + 4;
	const char *const values[] = {time, tag, array};
	const int lengths[] = {sizeof(int64_t), (int) tag_length, (int) (end - array)};

	send_statement(pq, "ROLLBACK TO SAVEPOINT " ROW_TRIAL_SAVEPOINT);
	PQsendQueryParams(pq, trial->insert_sql, 3, types, values, lengths, formats, 1);
	send_statement(pq, "RELEASE SAVEPOINT " ROW_TRIAL_SAVEPOINT);
	send_statement(pq, "SAVEPOINT " ROW_TRIAL_SAVEPOINT);
	PQpipelineSync(pq);
	trial->sent++;
}

static void
send_window(RowTrial *trial)
{
	PGconn *pq = pg_connection_pq(trial->connection);
	bool all;

	for (int i = 0; i < WINDOW_ROWS && trial->sent < trial->count; i++)
		send_row(trial);
	if (trial->sent == trial->count)
	{
		send_statement(pq, "ROLLBACK TO SAVEPOINT " ROW_TRIAL_SAVEPOINT);
		PQpipelineSync(pq);
		trial->ended = true;
	}
	pg_connection_flush(trial->connection, &all);
}

/* Counts an answered row, and notes whether it was refused. */
static void
take_result(RowTrial *trial, const PGresult *result)
{
	SqlFailure failure = {0};

	switch (PQresultStatus(result))
	{
		case PGRES_PIPELINE_SYNC:
			trial->answered++;
			break;
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
		case PGRES_PIPELINE_ABORTED:
			break;
		default:
			sql_failure_note(&failure, result);
			if (trial->answered < trial->sent && sql_failure_of_row(&failure))
				refusals_add(trial->refusals, trial->first + trial->answered, &failure);
			else
				sql_failure_note(&trial->failure, result);
			break;
	}
}
