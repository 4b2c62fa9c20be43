/*
 * loader.c
 *	  Loads batches of rows into a table, each in one transaction, by COPY in the binary format.
 *
 * The first attempt is one COPY.  If PostgreSQL refuses a row, the second attempt halves the rows
 * until those that are refused are alone, each part within a savepoint.
 */
#include "loader.h"

#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "database/sql_failure.h"
#include "load/copy_format.h"

#define PIECE_BYTES ((size_t) 256 * 1024)

/* Rows of a batch from first on, of which the first is at the given place. */
typedef struct Range
{
	const StagedMessage *row;
	uint64_t first;
	uint64_t count;
} Range;

/* Sends rows; false if the server has ended the COPY. */
static bool
send_rows(Loader *loader, const Range *range)
{
	char *piece = memory_new_raw(PIECE_BYTES);
	char *out = piece + COPY_HEADER_BYTES;
	const StagedMessage *row = range->row;
	bool good = true;

	copy_format_header(piece);
	for (uint64_t i = 0; i < range->count && good; i++, row = staged_next(row))
	{
		if ((size_t) (out - piece) + copy_format_row_bytes(row->value_count, row->tag_length) +
				COPY_TRAILER_BYTES >
			PIECE_BYTES)
		{
			good = PQputCopyData(loader->connection, piece, (int) (out - piece)) == 1;
			out = piece;
			if (loader->on_sent != NULL)
				loader->on_sent(loader->context, range->first + i);
		}
		out = copy_format_row(out, row->time_ns, row->values, row->value_count, staged_tag(row),
							  row->tag_length);
	}
	copy_format_trailer(out);
	out += COPY_TRAILER_BYTES;
	good = good && PQputCopyData(loader->connection, piece, (int) (out - piece)) == 1 &&
		   PQputCopyEnd(loader->connection, NULL) == 1;
	free(piece);
	return good;
}

/* Copies rows into the table.  Returns true, or false with the failure. */
static bool
copy_rows(Loader *loader, const Range *range, SqlFailure *failure)
{
	const Target *target = &loader->target;
	PGconn *connection = loader->connection;
	PGresult *result;
	Bytes sql = {0};

	*failure = (SqlFailure){0};
	bytes_printf(&sql, "COPY %s (%s, %s, %s) FROM STDIN (FORMAT binary)", target->name,
				 target->time, target->tag, target->values);
	result = PQexec(connection, bytes_text(&sql));
	bytes_free(&sql);
	if (PQresultStatus(result) != PGRES_COPY_IN)
		connection_fail(connection, result);
	PQclear(result);
	send_rows(loader, range);
	while ((result = PQgetResult(connection)) != NULL)
	{
		if (PQresultStatus(result) == PGRES_COPY_IN)
		{
			PQclear(result);
			break; /* sending has failed, and so has the connection */
		}
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
		{
			sql_failure_note(failure, result);
			if (!sql_failure_of_row(failure))
				connection_fail(connection, result);
		}
		PQclear(result);
	}
	if (PQstatus(connection) != CONNECTION_OK)
		connection_fail(connection, NULL);
	return !sql_failure_is_set(failure);
}

static void
begin(Loader *loader)
{
	connection_run(loader->connection, "BEGIN");
	import_state_lock(loader->state, loader->connection, &loader->target);
}

/* Copies the rows in halves until those that are refused are alone; returns how many were taken. */
static uint64_t
copy_halves(Loader *loader, RowBatch *batch, const Range *range)
{
	SqlFailure failure;
	Range half = {range->row, range->first, range->count / 2};
	Range rest = {range->row, range->first + half.count, range->count - half.count};
	uint64_t taken;

	connection_run(loader->connection, "SAVEPOINT part");
	if (copy_rows(loader, range, &failure))
	{
		connection_run(loader->connection, "RELEASE part");
		return range->count;
	}
	connection_run(loader->connection, "ROLLBACK TO part");
	connection_run(loader->connection, "RELEASE part");
	if (range->count == 1)
	{
		row_batch_reject_row(batch, batch->lines[range->first], range->row, failure.sqlstate,
							 failure.message);
		return 0;
	}
	for (uint64_t i = 0; i < half.count; i++)
		rest.row = staged_next(rest.row);
	taken = copy_halves(loader, batch, &half);
	return taken + copy_halves(loader, batch, &rest);
}

/* Copies all rows in a transaction that it leaves open; returns how many were taken. */
static uint64_t
copy_batch(Loader *loader, RowBatch *batch)
{
	Range all = {(const StagedMessage *) batch->stage.data, 0, batch->stage.count};
	SqlFailure failure;

	begin(loader);
	if (all.count == 0 || copy_rows(loader, &all, &failure))
		return all.count;
	connection_run(loader->connection, "ROLLBACK");
	begin(loader);
	return copy_halves(loader, batch, &all);
}

void
loader_load(Loader *loader, RowBatch *batch)
{
	ImportState *state = loader->state;
	ImportState now;
	uint64_t taken;

	if (loader->places != NULL)
		value_names_place(loader->places, loader->connection, &loader->target, batch);
	taken = copy_batch(loader, batch);
	if (loader->names != NULL)
		value_names_keep(loader->connection, &loader->target, batch, loader->names);
	rejects_write(loader->rejects, batch);
	now = *state;
	now.bytes = batch->end_offset;
	now.lines = batch->end_line;
	now.rows += taken;
	now.rejected += batch->reject_count;
	now.rejects_bytes = loader->rejects->bytes;
	now.finished = batch->last && batch->wrong == NULL;
	import_state_write(&now, loader->connection, &loader->target);
	connection_run(loader->connection, "COMMIT");
	*state = now;
}
