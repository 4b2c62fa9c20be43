/*
 * copy_load.c
 *	  One COPY of some rows of a batch on an open connection: one transaction.
 *
 * Rows are encoded a piece at a time, one piece a turn of the loop and only once the socket has
 * taken the last one: libpq would otherwise buffer the whole batch, and the loop would not get to
 * its clients.
 *
 * An error before the server has asked for rows concerns the statement (no such table, no
 * privilege): no row is to blame and repeating may help.  After that, everything is blamed on the
 * rows except the classes of SQLSTATE that speak of the server's state.
 */
#include "copy_load.h"

#include "copy_format.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t) 128 * 1024)

static bool send_piece(CopyLoad *load);
static bool take_result(CopyLoad *load, PGresult *result);
static LoadStatus verdict(const CopyLoad *load);

void
copy_load_begin(CopyLoad *load, PgConnection *connection, const char *copy_sql, const Batch *batch,
				uint64_t first, uint64_t count)
{
	char *piece = load->piece;
	bool all;

	*load = (CopyLoad){
		.connection = connection,
		.copy_sql = copy_sql,
		.count = count,
		.piece = piece != NULL ? piece : memory_new_raw(PIECE_BYTES),
		.refused_row = -1,
	};
	batch_cursor_seek(&load->cursor, batch, first);
	if (!PQsendQuery(pg_connection_pq(connection), copy_sql))
	{
		load->state = COPY_FINISHING;
		return;
	}
	pg_connection_flush(connection, &all);
}

LoadStatus
copy_load_advance(CopyLoad *load)
{
	PGconn *pq = pg_connection_pq(load->connection);
	bool all;

	load->progress++;
	if (!pg_connection_flush(load->connection, &all) || (!all && load->state != COPY_FINISHING))
		return LOAD_RUNNING;

	if (load->state == COPY_STARTING)
	{
		if (PQisBusy(pq))
			return LOAD_RUNNING;
		if (!take_result(load, PQgetResult(pq)))
			load->state = COPY_FINISHING;
		else if (load->began)
			load->state = COPY_SENDING;
	}
	if (load->state == COPY_SENDING)
	{
		if (!send_piece(load))
			load->state = COPY_FINISHING;
		else if (pg_connection_flush(load->connection, &all) && all)
			pg_connection_again(load->connection);
		if (load->state == COPY_SENDING)
			return LOAD_RUNNING;
		pg_connection_flush(load->connection, &all);
	}
	while (!PQisBusy(pq))
	{
		if (!take_result(load, PQgetResult(pq)))
			return verdict(load);
	}
	return LOAD_RUNNING;
}

/* Gives libpq the next rows, or the end.  Returns false when there are no more to send. */
static bool
send_piece(CopyLoad *load)
{
	PGconn *pq = pg_connection_pq(load->connection);
	char *out = load->piece;
	const BatchRow *row;

	if (load->sent == 0)
	{
		copy_format_header(out);
		out += COPY_HEADER_BYTES;
	}
	while (load->sent < load->count)
	{
		BatchCursor before = load->cursor;

		row = batch_cursor_next(&load->cursor);
		if (copy_format_row_bytes(row, load->cursor.tag_length) + COPY_TRAILER_BYTES >
			PIECE_BYTES - (size_t) (out - load->piece))
		{
			load->cursor = before;
			break;
		}
		out = copy_format_row(out, row, load->cursor.tag, load->cursor.tag_length);
		load->sent++;
	}
	if (load->sent == load->count)
	{
		copy_format_trailer(out);
		out += COPY_TRAILER_BYTES;
	}
	/* A failure means that the server has ended the COPY; its result says why. */
	if (PQputCopyData(pq, load->piece, (int) (out - load->piece)) != 1)
		return false;
	if (load->sent < load->count)
		return true;
	PQputCopyEnd(pq, NULL);
	return false;
}

/* Returns false for the end of results (NULL). */
static bool
take_result(CopyLoad *load, PGresult *result)
{
	const char *text;
	const char *line;

	if (result == NULL)
		return false;
	switch (PQresultStatus(result))
	{
		case PGRES_COPY_IN:
			/* Asked again after PQputCopyData failed without an error of the server. */
			if (load->began)
			{
				PQputCopyEnd(pg_connection_pq(load->connection), "sending failed");
				snprintf(load->message, sizeof(load->message), "sending failed");
			}
			load->began = true;
			break;
		case PGRES_COMMAND_OK:
			break;
		default:
			text = PQresultErrorField(result, PG_DIAG_SQLSTATE);
			snprintf(load->sqlstate, sizeof(load->sqlstate), "%s", text ? text : "08006");
			text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
			snprintf(load->message, sizeof(load->message), "%s",
					 text ? text : PQresultErrorMessage(result));
			/* "COPY measurement, line 7": where row checks fail the server counts from 1 */
			text = PQresultErrorField(result, PG_DIAG_CONTEXT);
			line = text ? strstr(text, ", line ") : NULL;
			if (line != NULL)
				load->refused_row = strtoll(line + 7, NULL, 10) - 1;
			break;
	}
	PQclear(result);
	return true;
}

static LoadStatus
verdict(const CopyLoad *load)
{
	/* connection, rollback, wrong state (failover), resources, intervention, damage or a bug */
	static const char *const server_classes[] = {"08", "25", "40", "53", "55",
												 "57", "58", "XX", NULL};

	if (load->message[0] == '\0' && load->sqlstate[0] == '\0')
		return load->began ? LOAD_COMMITTED : LOAD_UNAVAILABLE;
	if (!load->began)
		return LOAD_UNAVAILABLE;
	for (int i = 0; server_classes[i] != NULL; i++)
	{
		if (strncmp(load->sqlstate, server_classes[i], 2) == 0)
			return LOAD_UNAVAILABLE;
	}
	return load->sqlstate[0] == '\0' ? LOAD_UNAVAILABLE : LOAD_REFUSED;
}
