/*
 * export.c
 *	  historian export: writes rows as CSV with one column a value, as NDJSON, as COPY's binary format, or as
 *	  Apache Arrow.
 *
 * All tags are read in one snapshot, one COPY after the other, so that the rows of each are in the
 * order of their times and the memory does not grow with their number.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "arrow/arrow_rows.h"
#include "base/memory.h"
#include "commands.h"
#include "connection.h"
#include "load/copy_format.h"
#include "meter.h"
#include "options.h"
#include "output.h"
#include "row_text.h"
#include "selection.h"

static const char usage[] =
	"historian export: writes the rows of tags\n"
	"\n"
	"usage: historian export [OPTION]... [TAG]...\n"
	"\n"
	"Without TAG all tags are written, or those of --prefix; the rows of a tag come in order of "
	"time.\n"
	"\n"
	"  -o, --output FILE    write there, compressed if its name ends with .gz (stdout)\n"
	"  -f, --format FORMAT  csv, ndjson, binary or arrow (by the name of FILE; else csv)\n"
	"  --tag TAG            the same as TAG; may be given several times\n"
	"  --prefix TEXT        tags that begin with it\n"
	"  --all                all tags, as without any\n"
	"  --gzip               compress, whatever the name of FILE\n"
	"  --after-tag TAG      go on after the row of this tag and of the time --after-time: the last "
	"one\n"
	"                       of an export with the same selection that was broken off\n"
	"  --after-time TIME    its time\n"
	"  --start TIME         first time: an integer, RFC 3339, now-1h, or -1h, which counts from "
	"--end\n"
	"  --end TIME           time before which it ends (all)\n"
	"  --precision UNIT     unit of times that are integers, also of those written: ns, us, ms or "
	"s\n"
	"                       (ns)\n"
	"  --time FORM          write times as integer or rfc3339 (integer; arrow: timestamps)\n"
	"  --progress           show progress also where stderr is no terminal\n"
	"\n"
	"Connection:\n" ARGUMENTS_COMMON_HELP "\n"
	"CSV and Arrow have a column for each value, named as historian.tag names it if all tags have\n"
	"the same names, else value_1 and so on. Binary is that of COPY: historian import -f\n"
	"copy-binary reads it. Arrow is an IPC stream.\n"
	"Exits with 0, with 1 after an error, and with 2 for a wrong option.\n";

typedef enum ExportFormat
{
	EXPORT_CSV,
	EXPORT_NDJSON,
	EXPORT_BINARY,
	EXPORT_ARROW,
	EXPORT_UNKNOWN
} ExportFormat;

static const char *const format_names[] = {"csv", "ndjson", "binary", "arrow", NULL};

typedef struct Export
{
	Arguments arguments;
	SelectionWishes wishes;
	const char *path;
	const char *start;
	const char *end;
	ExportFormat format;
	TimestampRules times;
	TimeText time_text;
	bool time_given;
	bool progress;
	bool all;
	bool gzip;
	const char *after_tag; /* the rows after this one are written; or NULL */
	const char *after_time;
	int64_t after_ns;
	PGconn *connection;
	Target target;
	Selection selection;
	Output *output;
	Meter meter;
	int columns; /* of values, in CSV and Arrow */
	ArrowRows *arrow;
	uint64_t rows;
	Bytes row;
} Export;

static void parse_options(Export *export, int argc, char **argv);

static bool
ends_with(const char *text, const char *end)
{
	size_t length = strlen(text);

	return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* Whether the name promises a format that is not written here: its reader would find CSV in it. */
static bool
names_other_format(const char *path)
{
	static const char *const ends[] = {".parquet", ".arrow", ".feather", ".json", ".xlsx"};
	char compressed[16];

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
	{
		snprintf(compressed, sizeof(compressed), "%s.gz", ends[i]);
		if (ends_with(path, ends[i]) || ends_with(path, compressed))
			return true;
	}
	return false;
}

static ExportFormat
format_of(const char *path)
{
	if (path != NULL && names_other_format(path))
		arguments_fail(
			"-o %s: no format of export has files of this name; -f csv, ndjson, binary or "
			"arrow (an Arrow IPC stream) says what the file shall have",
			path);
	if (path != NULL && (ends_with(path, ".ndjson") || ends_with(path, ".ndjson.gz") ||
						 ends_with(path, ".jsonl") || ends_with(path, ".jsonl.gz")))
		return EXPORT_NDJSON;
	if (path != NULL && (ends_with(path, ".pgcopy") || ends_with(path, ".pgcopy.gz")))
		return EXPORT_BINARY;
	if (path != NULL && (ends_with(path, ".arrows") || ends_with(path, ".arrows.gz")))
		return EXPORT_ARROW;
	return EXPORT_CSV;
}

/* The names that all tags share; "{}" if they have none, or different ones. */
static const char *
shared_names(const Export *export)
{
	const char *shared = "{}";

	for (int i = 0; i < export->selection.count; i++)
	{
		const char *names = selection_names(&export->selection, i);

		if (names[0] == '\0')
			continue;
		if (strcmp(shared, "{}") != 0 && strcmp(shared, names) != 0)
		{
			fprintf(stderr,
					"historian: the tags have different names for their values; the columns are "
					"value_1 and so on\n");
			return "{}";
		}
		shared = names;
	}
	return shared;
}

static bool
has_value_columns(const Export *export)
{
	return export->format == EXPORT_CSV || export->format == EXPORT_ARROW;
}

/* The names of the columns of values, of which there are as many as a row has values at most. */
static PGresult *
value_columns(Export *export)
{
	char count[16];
	const char *parameters[] = {shared_names(export), count};

	for (int i = 0; i < export->selection.count; i++)
	{
		if (selection_values(&export->selection, i) > export->columns)
			export->columns = selection_values(&export->selection, i);
	}
	snprintf(count, sizeof(count), "%d", export->columns);
	return connection_query(export->connection,
							"SELECT unnest(historian.value_columns($1::text[], $2::integer))", 2,
							parameters);
}

/* Writes the first line of CSV. */
static void
write_header(Export *export)
{
	PGresult *result = value_columns(export);
	Bytes *line = &export->row;

	line->length = 0;
	bytes_puts(line, "time,tag");
	for (int i = 0; i < PQntuples(result); i++)
	{
		bytes_puts(line, ",");
		row_text_put_cell(line, PQgetvalue(result, i, 0), (size_t) PQgetlength(result, i, 0));
	}
	bytes_puts(line, "\n");
	output_write(export->output, line->data, line->length);
	PQclear(result);
}

/* Writes what is new in the row's buffer. */
static void
write_new(Export *export)
{
	Bytes *row = &export->row;

	if (row->length > 0)
		output_write(export->output, row->data, row->length);
	row->length = 0;
}

static void
begin_arrow(Export *export)
{
	PGresult *result = value_columns(export);
	const char **names = memory_new(sizeof(char *) * (size_t) export->columns);
	ArrowTimes times = {export->time_text.unit_ns, export->time_given};

	for (int i = 0; i < PQntuples(result); i++)
		names[i] = PQgetvalue(result, i, 0);
	export->arrow = arrow_rows_new(names, PQntuples(result), times, &export->row);
	write_new(export);
	free(names);
	PQclear(result);
}

static void
end_arrow(Export *export)
{
	arrow_rows_end(export->arrow, &export->row);
	write_new(export);
	arrow_rows_free(export->arrow);
}

/* Appends the statement that copies the rows of a tag. */
static void
put_copy(Bytes *sql, const Export *export, const char *tag)
{
	const Target *target = &export->target;
	char *literal = PQescapeLiteral(export->connection, tag, strlen(tag));

	bytes_printf(sql, "COPY (SELECT %s", target->time);
	switch (export->format)
	{
		case EXPORT_CSV:
			bytes_printf(sql, ", %s", target->tag);
			for (int i = 1; i <= export->columns; i++)
				bytes_printf(sql, ", (%s)[%d]", target->values, i);
			break;
		case EXPORT_BINARY:
			bytes_printf(sql, ", %s, %s", target->tag, target->values);
			break;
		case EXPORT_ARROW:
			bytes_printf(sql, ", %s, historian.value_bytes(%s, %d)", target->tag, target->values,
						 export->columns);
			break;
		default:
			bytes_printf(sql, ", %s", target->values);
	}
	bytes_printf(sql, " FROM %s WHERE %s = %s", target->name, target->tag, literal);
	if (export->after_tag != NULL && strcmp(tag, export->after_tag) == 0)
		bytes_printf(sql, " AND %s > '%lld'::bigint", target->time, (long long) export->after_ns);
	if (export->wishes.windowed)
		bytes_printf(sql, " AND %s >= '%lld'::bigint AND %s < '%lld'::bigint", target->time,
					 (long long) export->wishes.start_ns, target->time,
					 (long long) export->wishes.end_ns);
	bytes_printf(sql, " ORDER BY %s) TO STDOUT (FORMAT %s)", target->time,
				 export->format == EXPORT_CSV	   ? "csv"
				 : export->format == EXPORT_NDJSON ? "text"
												   : "binary");
	PQfreemem(literal);
}

/* Writes a row as COPY's text form has it: the time, a tab, the values or \N, and a line feed. */
static void
write_object(Export *export, const char *tag, const char *data, size_t length)
{
	Bytes *row = &export->row;
	const char *tab = memchr(data, '\t', length);
	const char *values = tab != NULL ? tab + 1 : "{}";
	size_t values_length = tab != NULL ? length - (size_t) (values - data) - 1 : 2;

	if (values[0] == '\\')
	{
		values = "N"; /* no array: null */
		values_length = 1;
	}
	row->length = 0;
	row_text_put_object(row, &export->time_text, data, tag, strlen(tag), values, values_length);
	output_write(export->output, row->data, row->length);
}

/* Writes a line of CSV, of which the first cell is the time. */
static void
write_line(Export *export, const char *data, size_t length)
{
	Bytes *row = &export->row;
	const char *rest = memchr(data, ',', length);

	if (rest == NULL || (export->time_text.unit_ns == 1 && !export->time_text.rfc3339))
	{
		output_write(export->output, data, length);
		return;
	}
	row->length = 0;
	row_text_put_time(row, &export->time_text, data, false);
	bytes_append(row, rest, length - (size_t) (rest - data));
	output_write(export->output, row->data, row->length);
}

/*
 * Writes a piece of COPY's binary form.  PostgreSQL sends the header with the first row, or with
 * the end where there is none, and the end by itself.  Both are left out: the file has them once.
 */
static void
write_binary(Export *export, const char *data, size_t length, bool first)
{
	if (first)
	{
		data += COPY_HEADER_BYTES;
		length -= COPY_HEADER_BYTES;
	}
	if (length == COPY_TRAILER_BYTES && memcmp(data, "\xff\xff", 2) == 0)
	{
		export->rows--; /* it is no row */
		return;
	}
	output_write(export->output, data, length);
}

/* Takes a piece of COPY's binary form, as write_binary() does, and writes a batch if one is full. */
static void
write_arrow(Export *export, const char *data, size_t length, bool first)
{
	size_t end = length - (first ? COPY_HEADER_BYTES : 0);

	if (!arrow_rows_take(export->arrow, data, length, &export->row))
		connection_fail_with("PostgreSQL sent unknown rows");
	write_new(export);
	if (end == COPY_TRAILER_BYTES && memcmp(data + length - end, "\xff\xff", 2) == 0)
		export->rows--; /* it is no row */
}

/* Copies the rows of one tag; done tags, or their samples, are behind. */
static void
copy_tag(Export *export, int i, double share, double share_of_tag)
{
	const char *tag = selection_tag(&export->selection, i);
	uint64_t samples = selection_samples(&export->selection, i);
	uint64_t before = export->rows;
	Bytes sql = {0};
	PGresult *result;
	char *data;
	int length;

	put_copy(&sql, export, tag);
	result = PQexec(export->connection, bytes_text(&sql));
	bytes_free(&sql);
	if (PQresultStatus(result) != PGRES_COPY_OUT)
		connection_fail(export->connection, result);
	PQclear(result);
	while ((length = PQgetCopyData(export->connection, &data, 0)) > 0)
	{
		bool first = export->rows == before;

		export->rows++;
		if (export->format == EXPORT_NDJSON)
			write_object(export, tag, data, (size_t) length);
		else if (export->format == EXPORT_CSV)
			write_line(export, data, (size_t) length);
		else if (export->format == EXPORT_BINARY)
			write_binary(export, data, (size_t) length, first);
		else
			write_arrow(export, data, (size_t) length, first);
		PQfreemem(data);
		if (export->rows % 1024 == 0)
			meter_show(&export->meter, export->rows, output_bytes(export->output),
					   export->wishes.windowed
						   ? share
						   : share + share_of_tag * (double) (export->rows - before) /
										 (double) samples);
	}
	while ((result = PQgetResult(export->connection)) != NULL)
	{
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			connection_fail(export->connection, result);
		PQclear(result);
	}
}

/*
 * Returns the first tag to copy, which is after_tag itself, or, of tags in the order of their bytes,
 * the next one.
 */
static int
first_tag(const Export *export)
{
	const Selection *selection = &export->selection;
	bool named = export->wishes.tag_count > 0;
	int i = 0;

	if (export->after_tag == NULL)
		return 0;
	while (i < selection->count &&
		   (named ? strcmp(selection_tag(selection, i), export->after_tag) != 0
				  : strcmp(selection_tag(selection, i), export->after_tag) < 0))
		i++;
	return i;
}

static void
copy_tags(Export *export)
{
	const Selection *selection = &export->selection;
	char edge[COPY_HEADER_BYTES];
	double total = 0;
	double done = 0;

	for (int i = first_tag(export); i < selection->count; i++)
		total += (double) selection_samples(selection, i);
	if (export->format == EXPORT_BINARY)
	{
		copy_format_header(edge);
		output_write(export->output, edge, COPY_HEADER_BYTES);
	}
	for (int i = first_tag(export); i < selection->count; i++)
	{
		double samples = (double) selection_samples(selection, i);

		copy_tag(export, i, done / total, samples / total);
		done += samples;
	}
	if (export->format == EXPORT_BINARY)
	{
		copy_format_trailer(edge);
		output_write(export->output, edge, COPY_TRAILER_BYTES);
	}
}

int
command_export(int argc, char **argv)
{
	static Export export;

	parse_options(&export, argc, argv);
	export.connection = connection_open(&export.arguments);
	target_open(&export.target, export.connection, export.arguments.table);
	connection_run(export.connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	connection_run(export.connection, "SET LOCAL extra_float_digits = 1");
	selection_open(&export.selection, export.connection, &export.target, &export.wishes,
				   has_value_columns(&export));
	export.output = output_open(export.path, export.gzip);
	meter_begin(&export.meter, export.progress);
	if (export.format == EXPORT_CSV)
		write_header(&export);
	else if (export.format == EXPORT_ARROW)
		begin_arrow(&export);
	copy_tags(&export);
	if (export.format == EXPORT_ARROW)
		end_arrow(&export);
	output_close(export.output);
	meter_end(&export.meter);
	if (export.path != NULL && strcmp(export.path, "-") != 0)
	{
		int tags = export.selection.count - first_tag(&export);

		printf("%" PRIu64 " row%s of %d tag%s exported in %.1f s\n", export.rows,
			   export.rows == 1 ? "" : "s", tags, tags == 1 ? "" : "s",
			   meter_seconds(&export.meter));
	}
	selection_close(&export.selection);
	target_close(&export.target);
	bytes_free(&export.row);
	PQfinish(export.connection);
	return 0;
}

/* Reads the window; end is first, because start may count from it. */
static void
read_window(Export *export)
{
	SelectionWishes *wishes = &export->wishes;

	wishes->windowed = export->start != NULL || export->end != NULL;
	wishes->start_ns = INT64_MIN;
	wishes->end_ns = INT64_MAX;
	if (export->end != NULL)
		wishes->end_ns = arguments_time("end", export->end, &export->times, timestamp_now());
	if (export->start != NULL)
		wishes->start_ns = arguments_time("start", export->start, &export->times,
										  export->end != NULL ? wishes->end_ns : timestamp_now());
	if (export->after_time != NULL)
		export->after_ns =
			arguments_time("after-time", export->after_time, &export->times, timestamp_now());
	if (wishes->windowed && wishes->start_ns >= wishes->end_ns)
		arguments_fail("--start must be before --end");
}

/* Ends the program if it is not clear which rows are meant. */
static void
check_selection(const Export *export)
{
	const SelectionWishes *wishes = &export->wishes;
	int named = 0;

	if (wishes->tag_count > 0 && wishes->prefix != NULL)
		arguments_fail("--prefix does not go with the names of tags");
	if (export->all && (wishes->tag_count > 0 || wishes->prefix != NULL))
		arguments_fail("--all does not go with --prefix or the names of tags");
	if ((export->after_tag == NULL) != (export->after_time == NULL))
		arguments_fail("--after-tag and --after-time go together");
	for (int i = 0; i < wishes->tag_count && export->after_tag != NULL; i++)
		named += strcmp(wishes->tags[i], export->after_tag) == 0;
	if (export->after_tag != NULL && wishes->tag_count > 0 && named != 1)
		arguments_fail("--after-tag must be one of the tags, given once");
}

static void
parse_options(Export *export, int argc, char **argv)
{
	enum
	{
		TAG = ARGUMENT_OWN,
		PREFIX,
		ALL,
		GZIP,
		AFTER_TAG,
		AFTER_TIME,
		START,
		END,
		PRECISION,
		TIME,
		PROGRESS
	};
	static const struct option options[] = {
		ARGUMENTS_COMMON,
		{"output", required_argument, NULL, 'o'},
		{"format", required_argument, NULL, 'f'},
		{"tag", required_argument, NULL, TAG},
		{"prefix", required_argument, NULL, PREFIX},
		{"all", no_argument, NULL, ALL},
		{"gzip", no_argument, NULL, GZIP},
		{"after-tag", required_argument, NULL, AFTER_TAG},
		{"after-time", required_argument, NULL, AFTER_TIME},
		{"start", required_argument, NULL, START},
		{"end", required_argument, NULL, END},
		{"precision", required_argument, NULL, PRECISION},
		{"time", required_argument, NULL, TIME},
		{"progress", no_argument, NULL, PROGRESS},
		{NULL, 0, NULL, 0},
	};
	const char *name;
	char **tags = memory_new((size_t) argc * sizeof(char *));
	int tag_count = 0;
	int option;

	arguments_init(&export->arguments);
	export->times = timestamp_rules(1, true);
	export->format = EXPORT_UNKNOWN;
	while ((option = arguments_next(&export->arguments, argc, argv,
									ARGUMENTS_COMMON_SHORT "o:f:", options, usage, &name)) != -1)
	{
		switch (option)
		{
			case 'o':
				export->path = optarg;
				break;
			case 'f':
				export->format = (ExportFormat) option_word(name, optarg, format_names);
				break;
			case TAG:
				tags[tag_count++] = optarg;
				break;
			case PREFIX:
				export->wishes.prefix = optarg;
				break;
			case ALL:
				export->all = true;
				break;
			case GZIP:
				export->gzip = true;
				break;
			case AFTER_TAG:
				export->after_tag = optarg;
				break;
			case AFTER_TIME:
				export->after_time = optarg;
				break;
			case START:
				export->start = optarg;
				break;
			case END:
				export->end = optarg;
				break;
			case PRECISION:
				if (!timestamp_read_precision(optarg, &export->times))
					arguments_fail("--precision %s: expected ns, us, ms or s", optarg);
				break;
			case TIME:
				row_text_set_time(&export->time_text, name, optarg);
				export->time_given = true;
				break;
			case PROGRESS:
				export->progress = true;
				break;
		}
	}
	for (int i = optind; i < argc; i++)
		tags[tag_count++] = argv[i];
	export->wishes.tags = tags;
	export->wishes.tag_count = tag_count;
	export->time_text.unit_ns = export->times.unit_ns;
	check_selection(export);
	if (export->format == EXPORT_UNKNOWN)
		export->format = format_of(export->path);
	if (export->format == EXPORT_BINARY &&
		(export->time_text.rfc3339 || export->time_text.unit_ns != 1))
		arguments_fail(
			"--format binary has times that are integers of nanoseconds; --start and --end "
			"may be RFC 3339");
	if (export->format == EXPORT_ARROW && export->time_text.rfc3339)
		arguments_fail("--format arrow has timestamps, or with --time integer, integers");
	read_window(export);
}
