/*
 * selection.c
 *	  The tags that a command is about, with what is known of each.
 */
#include "selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "connection.h"
#include "value_names.h"

void
selection_open(Selection *selection, PGconn *connection, const Target *target,
			   const SelectionWishes *wishes, bool with_values)
{
	Bytes tags = {0};
	Bytes sql = {0};
	char after[24];
	char until[24];
	/* Not every statement uses all of them. */
	static const Oid types[] = {26, 1009, 25, 20, 20}; /* oid, text[], text, bigint, bigint */
	PGresult *result;
	const char *parameters[5] = {target->oid, NULL, wishes->prefix != NULL ? wishes->prefix : "",
								 after, until};

	if (wishes->tag_count > 0)
	{
		for (int i = 0; i < wishes->tag_count; i++)
			value_names_put(&tags, wishes->tags[i], strlen(wishes->tags[i]));
		parameters[1] = value_names_end(&tags);
	}
	/* Functions count the times after the first and until the last. */
	snprintf(after, sizeof(after), "%lld",
			 wishes->windowed && wishes->start_ns > INT64_MIN ? (long long) wishes->start_ns - 1
															  : (long long) INT64_MIN);
	snprintf(until, sizeof(until), "%lld",
			 wishes->windowed ? (long long) wishes->end_ns - 1 : (long long) INT64_MAX);
	bytes_puts(&sql, "SELECT s.tag, s.samples, m.names, ");
	bytes_puts(&sql, with_values ? "greatest(cardinality(m.names), (SELECT cardinality(values) FROM"
								   " historian.downsample($1::oid::regclass, s.tag, $4::bigint, "
								   "$5::bigint, 1, 'count')), 0)"
								 : "NULL");
	if (wishes->tag_count > 0)
		bytes_puts(&sql,
				   " FROM (SELECT t.tag, t.place, s.samples FROM unnest($2::text[]) WITH ORDINALITY"
				   " AS t(tag, place), historian.tag_stat($1::oid::regclass, t.tag) AS s) AS s");
	else
		bytes_puts(&sql,
				   " FROM (SELECT tag, samples, 0 AS place FROM"
				   " historian.tags($1::oid::regclass) WHERE starts_with(tag, $3::text)) AS s");
	bytes_puts(&sql, " LEFT JOIN historian.tag AS m ON m.relid = $1::oid AND m.tag = s.tag"
					 " ORDER BY s.place, s.tag COLLATE \"C\"");
	result = PQexecParams(connection, bytes_text(&sql), 5, types, parameters, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		connection_fail(connection, result);
	selection->result = result;
	selection->count = PQntuples(selection->result);
	bytes_free(&sql);
	bytes_free(&tags);
	for (int i = 0; i < selection->count; i++)
	{
		if (selection_samples(selection, i) == 0)
			connection_fail_with("tag \"%s\" has no samples in table %s\n"
								 "  hint: historian tags lists those that have",
								 selection_tag(selection, i), target->name);
	}
	if (selection->count == 0)
		connection_fail_with("no tag of table %s begins with \"%s\"", target->name, parameters[2]);
}

void
selection_close(Selection *selection)
{
	PQclear(selection->result);
}

const char *
selection_tag(const Selection *selection, int i)
{
	return PQgetvalue(selection->result, i, 0);
}

uint64_t
selection_samples(const Selection *selection, int i)
{
	return strtoull(PQgetvalue(selection->result, i, 1), NULL, 10);
}

const char *
selection_names(const Selection *selection, int i)
{
	return PQgetvalue(selection->result, i, 2);
}

int
selection_values(const Selection *selection, int i)
{
	return atoi(PQgetvalue(selection->result, i, 3));
}
