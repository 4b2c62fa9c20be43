/*
 * export_arrow.c
 *	  Exports as an Apache Arrow IPC stream, with a column for each value.
 */
#include "routes/export_arrow.h"

#include "arrow/arrow_rows.h"

#include <stdlib.h>

/* A row with more values than columns fails the COPY: it has come since they were counted. */
static void
put_columns(Bytes *sql, const ExportRequest *request)
{
	bytes_printf(sql, ARROW_ROWS_SELECT, request->value_columns);
}

static void *
begin(const ExportRequest *request, const PGresult *names, Bytes *out)
{
	const QueryParameters *parameters = request->parameters;
	ArrowTimes times = {parameters->times.unit_ns, parameters->time_given};
	const char **columns = memory_new(sizeof(char *) * (size_t) request->value_columns);
	ArrowRows *rows;

	for (int i = 0; i < request->value_columns; i++)
		columns[i] = PQgetvalue(names, i, 0);
	rows = arrow_rows_new(columns, request->value_columns, times, out);
	free(columns);
	return rows;
}

static bool
take(void *encoder, const char *piece, size_t length, Bytes *out)
{
	return arrow_rows_take(encoder, piece, length, out);
}

static void
end(void *encoder, Bytes *out)
{
	arrow_rows_end(encoder, out);
}

static size_t
memory(const void *encoder)
{
	return arrow_rows_memory(encoder);
}

static void
free_rows(void *encoder)
{
	arrow_rows_free(encoder);
}

const ExportFormat export_arrow = {
	.name = "arrow",
	.content_type = ARROW_CONTENT_TYPE,
	.copy_options = "FORMAT binary",
	.asks_names = true,
	.put_columns = put_columns,
	.begin = begin,
	.take = take,
	.end = end,
	.bytes = memory,
	.free = free_rows,
};
