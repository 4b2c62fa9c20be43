/*
 * tail.c
 *	  historian tail: prints the last rows of tags, and those that come after.
 *
 * It asks again and again for the rows after the last one of each tag, in order of time.  So a row
 * that comes late, with an earlier time than one that was printed, is not printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arguments.h"
#include "base/memory.h"
#include "commands.h"
#include "connection.h"
#include "options.h"
#include "output.h"
#include "row_text.h"
#include "selection.h"
#include "value_names.h"

static const char usage[] =
	"historian tail: prints the last rows of tags, and those that come after, until Ctrl-C\n"
	"\n"
	"usage: historian tail [OPTION]... [TAG]...\n"
	"\n"
	"  -n, --rows N         the last N rows of each tag first (10)\n"
	"  -f, --format FORMAT  text, csv or ndjson (text)\n"
	"  --prefix TEXT        tags that begin with it and have rows when the command begins\n"
	"  --time FORM          write times as integer or rfc3339 (rfc3339)\n"
	"  --interval MS        ask for new rows so often (1000)\n"
	"  --once               end after the last rows\n"
	"\n"
	"Connection:\n" ARGUMENTS_COMMON_HELP "\n"
	"Rows with an earlier time than one that was printed of their tag are not printed.\n"
	"Exits with 0 after --once, with 1 after an error, and with 2 for a wrong option.\n";

typedef enum TailFormat
{
	TAIL_TEXT,
	TAIL_CSV,
	TAIL_NDJSON
} TailFormat;

typedef struct Tail
{
	Arguments arguments;
	SelectionWishes wishes;
	uint64_t rows;
	TailFormat format;
	TimeText time_text;
	uint64_t interval_ms;
	bool once;
	PGconn *connection;
	Target target;
	Selection selection;
	Output *output;
	int64_t *last_ns; /* of each tag, that was printed */
	Bytes line;
} Tail;

static void parse_options(Tail *tail, int argc, char **argv);

/* Prints a row of a result, whose columns are the tag's number, time and values. */
static void
print_row(Tail *tail, const PGresult *result, int row)
{
	int i = atoi(PQgetvalue(result, row, 0));
	const char *tag = selection_tag(&tail->selection, i);
	const char *time = PQgetvalue(result, row, 1);
	const char *values = PQgetvalue(result, row, 2);
	size_t length = (size_t) PQgetlength(result, row, 2);
	Bytes *line = &tail->line;

	line->length = 0;
	if (tail->format == TAIL_NDJSON)
		row_text_put_object(line, &tail->time_text, time, tag, strlen(tag),
							length > 0 ? values : "N", length > 0 ? length : 1);
	else
	{
		const char *between = tail->format == TAIL_CSV ? "," : "  ";

		row_text_put_time(line, &tail->time_text, time, false);
		bytes_puts(line, between);
		if (tail->format == TAIL_CSV)
			row_text_put_cell(line, tag, strlen(tag));
		else
			bytes_puts(line, tag);
		bytes_puts(line, between);
		for (size_t k = 1; k + 1 < length; k++)
		{
			/* CSV has NULL as nothing. */
			if (tail->format == TAIL_CSV && strncmp(values + k, "NULL", 4) == 0)
				k += 3;
			else if (values[k] == ',' && tail->format == TAIL_TEXT)
				bytes_puts(line, " ");
			else
				bytes_append(line, values + k, 1);
		}
		bytes_puts(line, "\n");
	}
	output_write(tail->output, line->data, line->length);
	tail->last_ns[i] = strtoll(time, NULL, 10);
}

/* The last rows of each tag. */
static void
print_last(Tail *tail)
{
	Bytes sql = {0};

	for (int i = 0; i < tail->selection.count; i++)
	{
		const char *tag = selection_tag(&tail->selection, i);
		PGresult *result;

		sql.length = 0;
		/* Without rows to print, the last one is needed all the same: others come after it. */
		bytes_printf(&sql,
					 "SELECT * FROM (SELECT %d, %s, %s FROM %s WHERE %s = $1::text ORDER BY %s DESC"
					 " LIMIT %llu) AS l ORDER BY 2",
					 i, tail->target.time, tail->target.values, tail->target.name, tail->target.tag,
					 tail->target.time, (unsigned long long) (tail->rows > 0 ? tail->rows : 1));
		result = connection_query(tail->connection, bytes_text(&sql), 1, &tag);
		for (int row = 0; row < PQntuples(result); row++)
		{
			if (tail->rows > 0)
				print_row(tail, result, row);
			else
				tail->last_ns[i] = strtoll(PQgetvalue(result, row, 1), NULL, 10);
		}
		PQclear(result);
	}
	bytes_free(&sql);
	output_flush(tail->output);
}

/* Prints the rows that have come since, of all tags in order of time. */
static void
print_new(Tail *tail)
{
	const Target *target = &tail->target;
	Bytes sql = {0};
	Bytes numbers = {0};
	Bytes times = {0};
	Bytes tags = {0};
	const char *parameters[3];
	PGresult *result;

	for (int i = 0; i < tail->selection.count; i++)
	{
		const char *between = i > 0 ? "," : "{";
		const char *tag = selection_tag(&tail->selection, i);

		bytes_printf(&numbers, "%s%d", between, i);
		bytes_printf(&times, "%s%lld", between, (long long) tail->last_ns[i]);
		value_names_put(&tags, tag, strlen(tag));
	}
	bytes_puts(&numbers, "}");
	bytes_puts(&times, "}");
	bytes_printf(&sql,
				 "SELECT w.number, r.%s, r.%s FROM unnest($1::int[], $2::text[], $3::bigint[]) AS"
				 " w(number, tag, after), LATERAL (SELECT %s, %s FROM %s WHERE %s = w.tag AND"
				 " %s > w.after) AS r ORDER BY 2, 1",
				 target->time, target->values, target->time, target->values, target->name,
				 target->tag, target->time);
	parameters[0] = bytes_text(&numbers);
	parameters[1] = value_names_end(&tags);
	parameters[2] = bytes_text(&times);
	result = connection_query(tail->connection, bytes_text(&sql), 3, parameters);
	for (int row = 0; row < PQntuples(result); row++)
		print_row(tail, result, row);
	PQclear(result);
	output_flush(tail->output);
	bytes_free(&sql);
	bytes_free(&numbers);
	bytes_free(&times);
	bytes_free(&tags);
}

int
command_tail(int argc, char **argv)
{
	static Tail tail;

	parse_options(&tail, argc, argv);
	tail.connection = connection_open(&tail.arguments);
	target_open(&tail.target, tail.connection, tail.arguments.table);
	selection_open(&tail.selection, tail.connection, &tail.target, &tail.wishes, false);
	tail.last_ns = memory_new((size_t) tail.selection.count * sizeof(int64_t));
	tail.output = output_open(NULL, false);
	print_last(&tail);
	while (!tail.once)
	{
		struct timespec pause = {(time_t) (tail.interval_ms / 1000),
								 (long) (tail.interval_ms % 1000) * 1000000};

		nanosleep(&pause, NULL);
		print_new(&tail);
	}
	output_close(tail.output);
	selection_close(&tail.selection);
	target_close(&tail.target);
	PQfinish(tail.connection);
	free(tail.last_ns);
	bytes_free(&tail.line);
	return 0;
}

static void
parse_options(Tail *tail, int argc, char **argv)
{
	enum
	{
		PREFIX = ARGUMENT_OWN,
		TIME,
		INTERVAL,
		ONCE
	};
	static const struct option options[] = {
		ARGUMENTS_COMMON,
		{"rows", required_argument, NULL, 'n'},
		{"format", required_argument, NULL, 'f'},
		{"prefix", required_argument, NULL, PREFIX},
		{"time", required_argument, NULL, TIME},
		{"interval", required_argument, NULL, INTERVAL},
		{"once", no_argument, NULL, ONCE},
		{NULL, 0, NULL, 0},
	};
	static const char *const formats[] = {"text", "csv", "ndjson", NULL};
	const char *name;
	int option;

	arguments_init(&tail->arguments);
	tail->rows = 10;
	tail->interval_ms = 1000;
	tail->time_text = (TimeText){.unit_ns = 1, .rfc3339 = true};
	while ((option = arguments_next(&tail->arguments, argc, argv,
									ARGUMENTS_COMMON_SHORT "n:f:", options, usage, &name)) != -1)
	{
		switch (option)
		{
			case 'n':
				tail->rows = option_number(name, optarg, 0, 1000000);
				break;
			case 'f':
				tail->format = (TailFormat) option_word(name, optarg, formats);
				break;
			case PREFIX:
				tail->wishes.prefix = optarg;
				break;
			case TIME:
				row_text_set_time(&tail->time_text, name, optarg);
				break;
			case INTERVAL:
				tail->interval_ms = option_number(name, optarg, 10, 3600000);
				break;
			case ONCE:
				tail->once = true;
				break;
		}
	}
	tail->wishes.tags = argv + optind;
	tail->wishes.tag_count = argc - optind;
	if (tail->wishes.tag_count > 0 && tail->wishes.prefix != NULL)
		arguments_fail("--prefix does not go with the names of tags");
	if (tail->wishes.tag_count == 0 && tail->wishes.prefix == NULL)
		arguments_fail("tail needs a TAG, or --prefix TEXT");
}
