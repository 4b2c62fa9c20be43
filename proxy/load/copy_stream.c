/*
 * copy_stream.c
 *	  Sends the rows of one COPY to PostgreSQL.
 *
 * Rows are encoded a piece at a time: one piece in a turn of the loop, and only after the socket
 * has taken the last one.  Otherwise libpq would buffer the whole batch, and the loop would do
 * nothing else.
 */
#include "load/copy_stream.h"

#include "load/copy_format.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define PIECE_BYTES ((size_t) 128 * 1024)

static bool send_piece(CopyStream *stream);
static bool send_rows(CopyStream *stream, PGconn *pq);
static bool send_bundle(CopyStream *stream, PGconn *pq);
static void take_result(CopyStream *stream, const PGresult *result);

void
copy_stream_begin(CopyStream *stream, PgConnection *connection, const char *sql, const Batch *batch,
				  uint64_t first, uint64_t count)
{
	copy_stream_begin_bundles(stream, connection, sql, 0, batch, first, count);
}

void
copy_stream_begin_bundles(CopyStream *stream, PgConnection *connection, const char *sql,
						  uint32_t table, const Batch *batch, uint64_t first, uint64_t count)
{
	char *piece = stream->piece;
	Bundle *bundle = stream->bundle;
	bool all;

	*stream = (CopyStream){
		.connection = connection,
		.count = count,
		.piece = piece != NULL ? piece : memory_new_raw(PIECE_BYTES),
		.table = table,
		.bundle = bundle != NULL || table == 0 ? bundle : bundle_new(),
	};
	batch_cursor_seek(&stream->cursor, batch, first);
	if (PQsendQuery(pg_connection_pq(connection), sql))
		pg_connection_flush(connection, &all);
	else
		sql_failure_set(&stream->failure, "08006", PQerrorMessage(pg_connection_pq(connection)));
}

bool
copy_stream_advance(CopyStream *stream)
{
	PGconn *pq = pg_connection_pq(stream->connection);
	bool all;

	if (!pg_connection_flush(stream->connection, &all) || (!all && stream->sending))
		return false;
	for (;;)
	{
		PGresult *result;

		if (stream->sending && send_piece(stream))
		{
			if (pg_connection_flush(stream->connection, &all) && all)
				pg_connection_again(stream->connection);
			return false;
		}
		pg_connection_flush(stream->connection, &all);
		if (PQisBusy(pq))
			return false;
		result = PQgetResult(pq);
		if (result == NULL)
			return true;
		take_result(stream, result);
		PQclear(result);
	}
}

/* Gives libpq the next rows, or the end.  Returns whether there are more to send. */
static bool
send_piece(CopyStream *stream)
{
	PGconn *pq = pg_connection_pq(stream->connection);
	bool sent = stream->table != 0 ? send_bundle(stream, pq) : send_rows(stream, pq);

	/* A failure means that the server has ended the COPY; its result says why. */
	stream->sending = sent && stream->sent < stream->count;
	if (sent && !stream->sending)
		PQputCopyEnd(pq, NULL);
	return stream->sending;
}

static bool
send_rows(CopyStream *stream, PGconn *pq)
{
	char *out = stream->piece;
	const BatchRow *row;

	if (stream->sent == 0)
	{
		copy_format_header(out);
		out += COPY_HEADER_BYTES;
	}
	while (stream->sent < stream->count)
	{
		BatchCursor before = stream->cursor;

		row = batch_cursor_next(&stream->cursor);
		if (copy_format_row_bytes(row->value_count, stream->cursor.tag_length) +
				COPY_TRAILER_BYTES >
			PIECE_BYTES - (size_t) (out - stream->piece))
		{
			stream->cursor = before;
			break;
		}
		out = copy_format_row(out, row->time_ns, row->values, row->value_count, stream->cursor.tag,
							  stream->cursor.tag_length);
		stream->sent++;
	}
	if (stream->sent == stream->count)
	{
		copy_format_trailer(out);
		out += COPY_TRAILER_BYTES;
	}
	return PQputCopyData(pq, stream->piece, (int) (out - stream->piece)) == 1;
}

static bool
send_bundle(CopyStream *stream, PGconn *pq)
{
	char head[COPY_HEADER_BYTES + COPY_BUNDLE_HEAD_BYTES + BUNDLE_HEADER_BYTES];
	char *out = head;
	char header[BUNDLE_HEADER_BYTES];
	BundlePart parts[BUNDLE_PARTS];
	size_t bytes = BUNDLE_HEADER_BYTES;

	if (stream->sent == 0)
	{
		copy_format_header(out);
		out += COPY_HEADER_BYTES;
	}
	bundle_begin(stream->bundle);
	for (; stream->sent < stream->count && bundle_has_room(stream->bundle); stream->sent++)
	{
		const BatchRow *row = batch_cursor_next(&stream->cursor);

		bundle_add(stream->bundle, &stream->cursor, row);
	}
	bundle_end(stream->bundle, header, parts);
	for (int i = 0; i < BUNDLE_PARTS; i++)
		bytes += parts[i].length;
	out = copy_format_bundle_head(out, stream->table, (uint32_t) bytes);
	memcpy(out, header, sizeof(header));
	out += sizeof(header);
	if (PQputCopyData(pq, head, (int) (out - head)) != 1)
		return false;
	for (int i = 0; i < BUNDLE_PARTS; i++)
	{
		if (parts[i].length > 0 && PQputCopyData(pq, parts[i].bytes, (int) parts[i].length) != 1)
			return false;
	}
	if (stream->sent < stream->count)
		return true;
	copy_format_trailer(head);
	return PQputCopyData(pq, head, COPY_TRAILER_BYTES) == 1;
}

/* Notes that PostgreSQL asks for the rows, or that a statement has failed. */
static void
take_result(CopyStream *stream, const PGresult *result)
{
	switch (PQresultStatus(result))
	{
		case PGRES_COPY_IN:
			/* PostgreSQL asks again if PQputCopyData() has failed without an error of its own. */
			if (stream->began)
			{
				PQputCopyEnd(pg_connection_pq(stream->connection), "sending failed");
				sql_failure_set(&stream->failure, "08006", "sending failed");
			}
			stream->sending = !stream->began;
			stream->began = true;
			break;
		case PGRES_TUPLES_OK:
			if (PQntuples(result) == 1 && PQnfields(result) == 2)
				snprintf(stream->answer, sizeof(stream->answer), "%s", PQgetvalue(result, 0, 1));
			break;
		case PGRES_COMMAND_OK:
			break;
		default:
			sql_failure_note(&stream->failure, result);
			break;
	}
}
