/*
 * tags.c
 *	  historian tags: lists the tags of a table with what is known of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "base/memory.h"
#include "commands.h"
#include "connection.h"
#include "options.h"
#include "output.h"
#include "row_text.h"
#include "target.h"

static const char usage[] =
	"historian tags: lists the tags of a table\n"
	"\n"
	"usage: historian tags [OPTION]... [PREFIX]\n"
	"\n"
	"Lists the tags that begin with PREFIX, or all.\n"
	"\n"
	"  -f, --format FORMAT  table, csv, ndjson, or plain, which has the names alone (table)\n"
	"  --time FORM          write times as integer or rfc3339 (rfc3339)\n"
	"\n"
	"Connection:\n" ARGUMENTS_COMMON_HELP "\n"
	"Exits with 0, with 1 after an error, and with 2 for a wrong option.\n";

typedef enum TagsFormat
{
	TAGS_TABLE,
	TAGS_CSV,
	TAGS_NDJSON,
	TAGS_PLAIN
} TagsFormat;

/* The columns of the query; JSON has names and units as arrays. */
enum
{
	TAG,
	SAMPLES,
	FIRST,
	LAST,
	VALUES,
	DESCRIPTION,
	NAMES,
	UNITS
};

static const char *const titles[] = {"tag", "samples", "first", "last", "values", "description"};

#define SHOWN 6

static const char list_sql[] =
	"SELECT s.tag, s.samples, s.first_time, s.last_time,"
	" (SELECT string_agg(coalesce(v.name, 'value_' || v.place) || coalesce(' [' || v.unit || ']', "
	"''),"
	"  ', ' ORDER BY v.place) FROM unnest(m.names, m.units) WITH ORDINALITY AS v(name, unit, "
	"place)),"
	" m.description, to_json(m.names), to_json(m.units)"
	" FROM historian.tags($1::oid::regclass) AS s(tag, first_time, last_time, samples)"
	" LEFT JOIN historian.tag AS m ON m.relid = $1::oid AND m.tag = s.tag"
	" WHERE starts_with(s.tag, $2::text) ORDER BY s.tag COLLATE \"C\"";

/* The text of a cell, with times in their form. */
static void
put_text(Bytes *out, const PGresult *result, int row, int column, const TimeText *form)
{
	if (column == FIRST || column == LAST)
		row_text_put_time(out, form, PQgetvalue(result, row, column), false);
	else
		bytes_puts(out, PQgetvalue(result, row, column));
}

/* How many columns of a terminal a text takes: a character of UTF-8 takes one. */
static size_t
width_of(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char) *text & 0xC0) != 0x80;
	return width;
}

static void
put_padded(Bytes *out, const char *text, size_t width, bool last)
{
	bytes_puts(out, text);
	for (size_t i = width_of(text); !last && i < width + 2; i++)
		bytes_puts(out, " ");
}

static void
write_table(Output *output, const PGresult *result, const TimeText *form)
{
	size_t widths[SHOWN];
	Bytes cell = {0};
	Bytes line = {0};

	for (int column = 0; column < SHOWN; column++)
	{
		widths[column] = strlen(titles[column]);
		for (int row = 0; row < PQntuples(result); row++)
		{
			size_t width;

			cell.length = 0;
			put_text(&cell, result, row, column, form);
			width = width_of(bytes_text(&cell));
			if (width > widths[column])
				widths[column] = width;
		}
	}
	for (int row = -1; row < PQntuples(result); row++)
	{
		line.length = 0;
		for (int column = 0; column < SHOWN; column++)
		{
			cell.length = 0;
			if (row < 0)
				bytes_puts(&cell, titles[column]);
			else
				put_text(&cell, result, row, column, form);
			put_padded(&line, bytes_text(&cell), widths[column], column == SHOWN - 1);
		}
		while (line.length > 0 && line.data[line.length - 1] == ' ')
			line.length--;
		bytes_puts(&line, "\n");
		output_write(output, line.data, line.length);
	}
	bytes_free(&cell);
	bytes_free(&line);
}

static void
write_csv(Output *output, const PGresult *result, const TimeText *form)
{
	Bytes cell = {0};
	Bytes line = {0};

	output_puts(output, "tag,samples,first,last,values,description\n");
	for (int row = 0; row < PQntuples(result); row++)
	{
		line.length = 0;
		for (int column = 0; column < SHOWN; column++)
		{
			cell.length = 0;
			put_text(&cell, result, row, column, form);
			bytes_puts(&line, column > 0 ? "," : "");
			row_text_put_cell(&line, bytes_text(&cell), cell.length);
		}
		bytes_puts(&line, "\n");
		output_write(output, line.data, line.length);
	}
	bytes_free(&cell);
	bytes_free(&line);
}

static void
write_json(Output *output, const PGresult *result, const TimeText *form)
{
	Bytes line = {0};

	for (int row = 0; row < PQntuples(result); row++)
	{
		line.length = 0;
		bytes_puts(&line, "{\"tag\":");
		bytes_json_string(&line, PQgetvalue(result, row, TAG),
						  strlen(PQgetvalue(result, row, TAG)));
		bytes_printf(&line, ",\"samples\":%s,\"first\":", PQgetvalue(result, row, SAMPLES));
		row_text_put_time(&line, form, PQgetvalue(result, row, FIRST), true);
		bytes_puts(&line, ",\"last\":");
		row_text_put_time(&line, form, PQgetvalue(result, row, LAST), true);
		bytes_puts(&line, ",\"description\":");
		if (PQgetisnull(result, row, DESCRIPTION))
			bytes_puts(&line, "null");
		else
			bytes_json_string(&line, PQgetvalue(result, row, DESCRIPTION),
							  strlen(PQgetvalue(result, row, DESCRIPTION)));
		bytes_printf(&line, ",\"names\":%s,\"units\":%s}\n",
					 PQgetisnull(result, row, NAMES) ? "null" : PQgetvalue(result, row, NAMES),
					 PQgetisnull(result, row, UNITS) ? "null" : PQgetvalue(result, row, UNITS));
		output_write(output, line.data, line.length);
	}
	bytes_free(&line);
}

static void
write_plain(Output *output, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++)
	{
		output_puts(output, PQgetvalue(result, row, TAG));
		output_puts(output, "\n");
	}
}

int
command_tags(int argc, char **argv)
{
	static const struct option options[] = {ARGUMENTS_COMMON,
											{"format", required_argument, NULL, 'f'},
											{"time", required_argument, NULL, ARGUMENT_OWN},
											{NULL, 0, NULL, 0}};
	static const char *const formats[] = {"table", "csv", "ndjson", "plain", NULL};
	Arguments arguments;
	TagsFormat format = TAGS_TABLE;
	TimeText form = {.unit_ns = 1, .rfc3339 = true};
	PGconn *connection;
	PGresult *result;
	Target target;
	Output *output;
	const char *name;
	int option;

	arguments_init(&arguments);
	while ((option = arguments_next(&arguments, argc, argv, ARGUMENTS_COMMON_SHORT "f:", options,
									usage, &name)) != -1)
	{
		if (option == 'f')
			format = (TagsFormat) option_word(name, optarg, formats);
		else
			row_text_set_time(&form, name, optarg);
	}
	if (argc - optind > 1)
		arguments_fail("tags takes one PREFIX");
	connection = connection_open(&arguments);
	target_open(&target, connection, arguments.table);
	result = connection_query(connection, list_sql, 2,
							  (const char *const[]){target.oid, optind < argc ? argv[optind] : ""});
	output = output_open(NULL, false);
	if (format == TAGS_TABLE)
		write_table(output, result, &form);
	else if (format == TAGS_CSV)
		write_csv(output, result, &form);
	else if (format == TAGS_NDJSON)
		write_json(output, result, &form);
	else
		write_plain(output, result);
	output_close(output);
	PQclear(result);
	target_close(&target);
	PQfinish(connection);
	return 0;
}
