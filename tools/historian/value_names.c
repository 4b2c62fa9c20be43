/*
 * value_names.c
 *	  Names of values: fields of line protocol get their places by them, columns of CSV keep them.
 */
#include "value_names.h"

#include <string.h>

#include "connection.h"

#define TOO_MANY "the points of its series have more fields in all than a row holds"

/* Asks one question.  Returns false if there is none. */
static bool
ask(FieldPlaces *places, PGconn *connection, const Target *target)
{
	Bytes question = {0};
	const char *parameters[2] = {target->oid};
	PGresult *result;

	if (!field_places_take(places, &question))
		return false;
	parameters[1] = bytes_text(&question);
	result = connection_query(connection,
							  "SELECT tag, pg_catalog.array_to_string(fields, E'\\x01', '')"
							  " FROM historian.learn_names($1::oid::regclass, $2::text::jsonb)",
							  2, parameters);
	for (int i = 0; i < PQntuples(result); i++)
		field_places_learned(places, field_places_age(places), PQgetvalue(result, i, 0),
							 PQgetvalue(result, i, 1));
	field_places_told(places, false);
	PQclear(result);
	bytes_free(&question);
	return true;
}

/*
 * Takes the lines of dropped rows out of those of the batch, and rejects them.  The numbers ascend.
 */
static void
reject(RowBatch *batch, const Bytes *dropped)
{
	MessageError error = {.detail = TOO_MANY};
	size_t kept = 0;
	size_t at = 0;

	for (uint32_t i = 0; i < batch->line_count; i++)
	{
		uint32_t number = UINT32_MAX;

		if (at < dropped->length)
			memcpy(&number, dropped->data + at, sizeof(number));
		if (number != i)
		{
			batch->lines[kept++] = batch->lines[i];
			continue;
		}
		row_batch_reject_record(batch, batch->lines[i], &error, "", 0);
		at += sizeof(number);
	}
	batch->line_count = kept;
}

void
value_names_place(FieldPlaces *places, PGconn *connection, const Target *target, RowBatch *batch)
{
	bool placed = false;

	while (!placed)
	{
		Bytes dropped = {0};

		placed = field_places_stage(places, &batch->stage, &dropped);
		reject(batch, &dropped);
		bytes_free(&dropped);
		if (!placed && !ask(places, connection, target))
			connection_fail_with("the places of fields could not be found");
	}
}

void
value_names_put(Bytes *array, const char *text, size_t length)
{
	bytes_puts(array, array->length == 0 ? "{\"" : ",\"");
	for (size_t i = 0; i < length; i++)
	{
		if (text[i] == '"' || text[i] == '\\')
			bytes_puts(array, "\\");
		bytes_append(array, text + i, 1);
	}
	bytes_puts(array, "\"");
}

const char *
value_names_end(Bytes *array)
{
	bytes_puts(array, array->length == 0 ? "{}" : "}");
	return bytes_text(array);
}

void
value_names_keep(PGconn *connection, const Target *target, const RowBatch *batch, const char *names)
{
	Bytes tags = {0};
	const char *parameters[3] = {target->oid, NULL, names};

	if (batch->new_tags.length == 0)
		return;
	bytes_append(&tags, batch->new_tags.data, batch->new_tags.length);
	parameters[1] = value_names_end(&tags);
	PQclear(connection_query(
		connection,
		"INSERT INTO historian.tag AS t (relid, tag, names)"
		" SELECT $1::oid, n.tag, $3::text[] FROM unnest($2::text[]) AS n(tag) ORDER BY n.tag "
		"COLLATE \"C\""
		" ON CONFLICT (relid, tag) DO UPDATE SET names = excluded.names WHERE t.names IS NULL",
		3, parameters));
	bytes_free(&tags);
}
