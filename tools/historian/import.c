/*
 * import.c
 *	  historian import: loads a file, or stdin, into a table.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "base/memory.h"
#include "batch_reader.h"
#include "commands.h"
#include "connection.h"
#include "dry_run.h"
#include "input.h"
#include "loader.h"
#include "meter.h"
#include "options.h"

static const char usage[] =
	"historian import: loads a file into a historian table\n"
	"\n"
	"usage: historian import [OPTION]... [FILE]\n"
	"\n"
	"FILE may be compressed by gzip. Without FILE, or with -, stdin is read.\n"
	"\n"
	"  -f, --format FORMAT  csv, ndjson, lines (InfluxDB's line protocol), copy (psql's text) or\n"
	"                       copy-binary (by the name of FILE; else csv)\n"
	"  --precision UNIT     unit of times that are integers: ns, us, ms or s (ns, and those that\n"
	"                       look like another unit are rejected)\n"
	"  --time-zone ZONE     zone of times without an offset, such as UTC or Europe/Berlin\n"
	"  --rejects FILE       keep the rejected records there, as NDJSON with line and reason\n"
	"  --dry-run            decode everything and load nothing; needs no database\n"
	"  --restart            begin anew, and not where an import of FILE was ended\n"
	"  --name NAME          the name of the source for resuming (the path of FILE; of stdin none)\n"
	"  --batch N            rows that are committed together (500000)\n"
	"  --progress           show progress also where stderr is no terminal\n"
	"\n"
	"CSV and COPY:\n"
	"  --time COLUMN        the column of the time: a name, or a position from 1 (time, "
	"timestamp,\n"
	"                       ts, ...; without header 1)\n"
	"  --tag COLUMN         the column of the tag (tag, name, series, ...; without header 2)\n"
	"  --tag-name TAG       the tag of all rows\n"
	"  --values LIST        the columns of the values: names, positions, ranges 3-12 (all others)\n"
	"  --columns-are-tags   each column of values is a tag, called as the column\n"
	"  --tag-prefix TEXT    put this before each tag\n"
	"  --names              keep the names of the columns as names of values (historian.tag)\n"
	"  --columns LIST       the names of the columns, of a file without header\n"
	"  --no-header          the first line of CSV is a row\n"
	"  --delimiter CHAR     between the columns of CSV; tab for a tab (,)\n"
	"  --null TEXT          a text for NULL, besides nothing at all and NULL\n"
	"  --decimal-comma      numbers such as 20,5\n"
	"\n"
	"Line protocol:\n"
	"  --skip-strings       leave out fields that are strings\n"
	"\n"
	"Connection:\n" ARGUMENTS_COMMON_HELP "\n"
	"Exits with 0 when all was loaded, 1 after an error, 2 for a wrong option, 3 when all was "
	"read\n"
	"but records were rejected. After an error or a kill the same command goes on where the\n"
	"committed rows end.\n";

static const char *const format_names[] = {"csv", "ndjson", "lines", "copy", "copy-binary", NULL};

enum
{
	FORMAT_CSV,
	FORMAT_NDJSON,
	FORMAT_LINES,
	FORMAT_COPY,
	FORMAT_COPY_BINARY,
	FORMAT_UNKNOWN
};

typedef struct Import
{
	Arguments arguments;
	const char *path;
	int format;
	char delimiter;
	bool skip_strings;
	bool names;
	CellForm cells;
	ColumnWishes wishes;
	bool dry_run;
	bool restart;
	bool progress;
	const char *rejects_path;
	const char *source; /* its name for resuming */
	BatchLimits limits;
	Input *input;
	Decoder *decoder;
	Meter meter;
	Bytes value_names;
	Bytes options; /* what decides how the source is read */
	Loader loader;
	ImportState state;
	Rejects rejects;
	const RowBatch *batch; /* that is loaded */
	uint64_t rows_before;  /* that were loaded when this import began */
	uint64_t bytes_before;
} Import;

static void parse_options(Import *import, int argc, char **argv);
static Decoder *make_decoder(const Import *import);

/* Returns the format that the file's name ends with, without .gz. */
static int
format_of(const char *path)
{
	static const struct
	{
		const char *end;
		int format;
	} ends[] = {{".csv", FORMAT_CSV},			{".ndjson", FORMAT_NDJSON},
				{".jsonl", FORMAT_NDJSON},		{".lp", FORMAT_LINES},
				{".line", FORMAT_LINES},		{".copy", FORMAT_COPY},
				{".pgcopy", FORMAT_COPY_BINARY}};
	size_t length = path != NULL ? strlen(path) : 0;

	if (length > 3 && strcmp(path + length - 3, ".gz") == 0)
		length -= 3;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
	{
		size_t end = strlen(ends[i].end);

		if (length > end && memcmp(path + length - end, ends[i].end, end) == 0)
			return ends[i].format;
	}
	return FORMAT_CSV;
}

static void
on_sent(void *context, uint64_t rows)
{
	Import *import = context;

	meter_show(&import->meter, import->state.rows - import->rows_before + rows,
			   import->batch->end_offset - import->bytes_before, input_share(import->input));
}

/* Loads all batches of the reader; returns why the input ended too early, or NULL. */
static const char *
load_all(Import *import, BatchReader *reader)
{
	RowBatch *batch;

	do
	{
		batch = batch_reader_next(reader);
		import->batch = batch;
		loader_load(&import->loader, batch);
		on_sent(import, 0);
	} while (!batch->last);
	meter_end(&import->meter);
	return batch->wrong;
}

static void
print_result(const Import *import)
{
	const ImportState *state = &import->state;
	double seconds = meter_seconds(&import->meter);
	uint64_t rows = state->rows - import->rows_before;

	printf("%" PRIu64 " row%s imported in %.1f s, %.0f rows/s", rows, rows == 1 ? "" : "s", seconds,
		   (double) rows / seconds);
	if (import->rows_before > 0)
		printf("; %" PRIu64 " with those of before", state->rows);
	if (state->rejected > 0)
		printf("; %" PRIu64 " rejected%s%s", state->rejected,
			   import->rejects_path != NULL ? ", see " : "",
			   import->rejects_path != NULL ? import->rejects_path : "");
	printf("\n");
}

/* Opens the connection, the table and the state; what is wrong with them ends the program. */
static void
open_database(Import *import)
{
	Loader *loader = &import->loader;

	loader->connection = connection_open(&import->arguments);
	target_open(&loader->target, loader->connection, import->arguments.table);
	loader->state = &import->state;
	loader->rejects = &import->rejects;
	loader->on_sent = on_sent;
	loader->context = import;
	import->state.source = import->source;
	import->state.path = input_source(import->input);
	import->state.options = bytes_text(&import->options);
	import_state_open(&import->state, loader->connection, &loader->target, import->restart);
	import->rows_before = import->state.rows;
	import->bytes_before = import->state.bytes;
	if (import->state.bytes > 0)
		fprintf(stderr, "historian: going on at line %" PRIu64 ", after %" PRIu64 " rows\n",
				import->state.lines, import->state.rows);
}

static void
close_database(Import *import)
{
	target_close(&import->loader.target);
	PQfinish(import->loader.connection);
}

/* The names of the columns as an array for PostgreSQL, or NULL if they are not kept. */
static const char *
names_of(Import *import)
{
	const Columns *columns = &import->decoder->columns;

	if (!import->names)
		return NULL;
	for (size_t i = 0; i < columns->value_count; i++)
		value_names_put(&import->value_names, columns->names[i], strlen(columns->names[i]));
	return value_names_end(&import->value_names);
}

static int
load(Import *import, const char **wrong)
{
	bool finished;
	BatchPlace place;
	BatchReader *reader;

	open_database(import);
	finished = import->state.finished;
	place = (BatchPlace){import->state.bytes, import->state.lines};
	rejects_open(&import->rejects, import->rejects_path, import->state.rejects_bytes);
	meter_begin(&import->meter, import->progress);
	reader = batch_reader_open(import->input, import->decoder, &import->limits, &place);
	import->loader.names = names_of(import);
	*wrong = load_all(import, reader);
	/* The reader has what the message is made of until it is closed. */
	if (*wrong != NULL)
		*wrong = memory_strdup(*wrong);
	batch_reader_close(reader);
	close_database(import);
	if (*wrong == NULL && finished && import->state.rows == import->rows_before)
		printf("nothing is new: all of it was imported before (--restart imports it again)\n");
	else
		print_result(import);
	return import->state.rejected > 0 ? EXIT_REJECTED : 0;
}

/* Decodes everything, and tells what would be loaded. */
static int
try(Import *import, const char **wrong)
{
	DryRun run = {0};
	BatchReader *reader;
	RowBatch *batch;

	rejects_open(&import->rejects, import->rejects_path, 0);
	reader = batch_reader_open(import->input, import->decoder, &import->limits, &(BatchPlace){0});
	do
	{
		batch = batch_reader_next(reader);
		dry_run_add(&run, batch);
		rejects_write(&import->rejects, batch);
	} while (!batch->last);
	if (batch->wrong != NULL)
		*wrong = memory_strdup(batch->wrong);
	batch_reader_close(reader);
	dry_run_print(&run);
	return run.rejected > 0 ? EXIT_REJECTED : 0;
}

int
command_import(int argc, char **argv)
{
	static Import import;
	const char *wrong = NULL;
	int code;

	parse_options(&import, argc, argv);
	import.input = input_open(import.path);
	if (import.source == NULL)
		import.source = input_source(import.input);
	if (import.format == FORMAT_LINES && !import.dry_run)
		import.loader.places = field_places_new();
	import.decoder = make_decoder(&import);
	code = import.dry_run ? try(&import, &wrong) : load(&import, &wrong);
	rejects_close(&import.rejects);
	if (wrong != NULL)
		fprintf(stderr, "historian: %s\n", wrong);
	import.decoder->free(import.decoder);
	input_close(import.input);
	bytes_free(&import.options);
	bytes_free(&import.value_names);
	return wrong != NULL ? EXIT_FAILED : code;
}

static Decoder *
make_decoder(const Import *import)
{
	Decoder *decoder;

	switch (import->format)
	{
		case FORMAT_NDJSON:
			decoder = json_decoder_new();
			break;
		case FORMAT_LINES:
			decoder =
				points_decoder_new(import->loader.places, timestamp_now(), import->skip_strings);
			break;
		case FORMAT_COPY:
			decoder = copy_text_decoder_new();
			break;
		case FORMAT_COPY_BINARY:
			decoder = copy_binary_decoder_new();
			break;
		default:
			decoder = csv_decoder_new(import->delimiter);
			break;
	}
	decoder->cells = import->cells;
	decoder->wishes = import->wishes;
	if (import->names)
		decoder->tags = tag_table_new(NULL);
	return decoder;
}

static char
read_delimiter(const char *text)
{
	if (strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0)
		return '\t';
	if (strlen(text) != 1 || strchr("\"\n\r\\", text[0]) != NULL)
		arguments_fail("--delimiter %s: expected one character, or tab", text);
	return text[0];
}

/* Ends the program if options do not go together. */
static void
check_options(const Import *import)
{
	const ColumnWishes *wishes = &import->wishes;
	bool columns = import->format != FORMAT_NDJSON && import->format != FORMAT_LINES;

	if (!columns && (wishes->names != NULL || wishes->time != NULL || wishes->tag != NULL ||
					 wishes->tag_name != NULL || wishes->values != NULL || wishes->each_is_a_tag ||
					 wishes->tag_prefix != NULL || wishes->no_header || import->names))
		arguments_fail(
			"--format %s has no columns: --time, --tag, --values and so on do not go with it",
			format_names[import->format]);
	if ((wishes->tag != NULL) + (wishes->tag_name != NULL) + wishes->each_is_a_tag > 1)
		arguments_fail("of --tag, --tag-name and --columns-are-tags only one can be");
	if (import->format == FORMAT_COPY_BINARY && (wishes->each_is_a_tag || import->names))
		arguments_fail(
			"--format copy-binary has arrays, to which --columns-are-tags and --names do not "
			"apply");
	if (wishes->names != NULL && wishes->no_header && import->format != FORMAT_CSV)
		arguments_fail("--no-header is only for --format csv");
	if (import->cells.decimal_comma && import->delimiter == ',' && import->format == FORMAT_CSV)
		arguments_fail("--decimal-comma needs another --delimiter than a comma");
}

/* Notes an option that decides how the source is read. */
static void
note_option(Import *import, const char *name, const char *text)
{
	bytes_printf(&import->options, "%s--%s%s%s", import->options.length > 0 ? " " : "", name,
				 text != NULL ? " " : "", text != NULL ? text : "");
}

enum
{
	PRECISION = ARGUMENT_OWN,
	TIME_ZONE,
	REJECTS,
	DRY_RUN,
	RESTART,
	NAME,
	BATCH,
	PROGRESS,
	/* From here on they decide how the source is read. */
	TIME,
	TAG,
	TAG_NAME,
	VALUES,
	COLUMNS_ARE_TAGS,
	TAG_PREFIX,
	NAMES,
	COLUMNS,
	NO_HEADER,
	DELIMITER,
	NULL_TEXT,
	DECIMAL_COMMA,
	SKIP_STRINGS
};

/* Takes an option of the command. */
static void
take_option(Import *import, int option, const char *name)
{
	ColumnWishes *wishes = &import->wishes;
	const char *wrong;

	switch (option)
	{
		case 'f':
			import->format = option_word(name, optarg, format_names);
			break;
		case PRECISION:
			if (!timestamp_read_precision(optarg, &import->cells.times))
				arguments_fail("--precision %s: expected ns, us, ms or s", optarg);
			break;
		case TIME_ZONE:
			wrong = cell_set_time_zone(&import->cells, optarg);
			if (wrong != NULL)
				arguments_fail("--time-zone %s: it %s", optarg, wrong);
			break;
		case REJECTS:
			import->rejects_path = optarg;
			break;
		case DRY_RUN:
			import->dry_run = true;
			break;
		case RESTART:
			import->restart = true;
			break;
		case NAME:
			import->source = optarg;
			break;
		case BATCH:
			import->limits.rows = option_number(name, optarg, 1, 100000000);
			break;
		case PROGRESS:
			import->progress = true;
			break;
		case TIME:
			wishes->time = optarg;
			break;
		case TAG:
			wishes->tag = optarg;
			break;
		case TAG_NAME:
			wishes->tag_name = optarg;
			break;
		case VALUES:
			wishes->values = optarg;
			break;
		case COLUMNS_ARE_TAGS:
			wishes->each_is_a_tag = true;
			break;
		case TAG_PREFIX:
			wishes->tag_prefix = optarg;
			break;
		case NAMES:
			import->names = true;
			break;
		case COLUMNS:
			wishes->names = optarg;
			break;
		case NO_HEADER:
			wishes->no_header = true;
			break;
		case DELIMITER:
			import->delimiter = read_delimiter(optarg);
			break;
		case NULL_TEXT:
			import->cells.null_text = optarg;
			break;
		case DECIMAL_COMMA:
			import->cells.decimal_comma = true;
			break;
		case SKIP_STRINGS:
			import->skip_strings = true;
			break;
	}
	if (option >= TIME || option == PRECISION || option == TIME_ZONE)
		note_option(import, name, optarg);
}

static void
parse_options(Import *import, int argc, char **argv)
{
	static const struct option options[] = {
		ARGUMENTS_COMMON,
		{"format", required_argument, NULL, 'f'},
		{"precision", required_argument, NULL, PRECISION},
		{"time-zone", required_argument, NULL, TIME_ZONE},
		{"rejects", required_argument, NULL, REJECTS},
		{"dry-run", no_argument, NULL, DRY_RUN},
		{"restart", no_argument, NULL, RESTART},
		{"name", required_argument, NULL, NAME},
		{"batch", required_argument, NULL, BATCH},
		{"progress", no_argument, NULL, PROGRESS},
		{"time", required_argument, NULL, TIME},
		{"tag", required_argument, NULL, TAG},
		{"tag-name", required_argument, NULL, TAG_NAME},
		{"values", required_argument, NULL, VALUES},
		{"columns-are-tags", no_argument, NULL, COLUMNS_ARE_TAGS},
		{"tag-prefix", required_argument, NULL, TAG_PREFIX},
		{"names", no_argument, NULL, NAMES},
		{"columns", required_argument, NULL, COLUMNS},
		{"no-header", no_argument, NULL, NO_HEADER},
		{"delimiter", required_argument, NULL, DELIMITER},
		{"null", required_argument, NULL, NULL_TEXT},
		{"decimal-comma", no_argument, NULL, DECIMAL_COMMA},
		{"skip-strings", no_argument, NULL, SKIP_STRINGS},
		{NULL, 0, NULL, 0},
	};
	const char *name;
	int option;

	arguments_init(&import->arguments);
	import->cells.times = timestamp_rules(1, true);
	import->delimiter = ',';
	import->format = FORMAT_UNKNOWN;
	import->limits = (BatchLimits){.rows = 500000, .bytes = (uint64_t) 128 * 1024 * 1024};
	while ((option = arguments_next(&import->arguments, argc, argv,
									ARGUMENTS_COMMON_SHORT "f:", options, usage, &name)) != -1)
		take_option(import, option, name);
	if (argc - optind > 1)
		arguments_fail("import takes one FILE at a time, and not \"%s\" too", argv[optind + 1]);
	import->path = argv[optind];
	if (import->format == FORMAT_UNKNOWN)
		import->format = format_of(import->path);
	note_option(import, "format", format_names[import->format]);
	check_options(import);
}
