/*
 * csv_decoder.c
 *	  CSV as RFC 4180 has it, with any delimiter: quotes may be around cells, and "" is one in them.
 *
 * A quoted cell may have line ends.  If a quote is not closed, only its line is rejected, and the
 * next one is read as a record again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "decoder.h"

typedef struct CsvDecoder
{
	Decoder base; /* must be first */
	char delimiter;
	Cell *cells;
	size_t cell_count;
	size_t cell_capacity;
	Bytes unquoted; /* the text of cells that had quotes in them */
} CsvDecoder;

typedef enum Scan
{
	SCAN_GOOD,
	SCAN_OPEN,		/* a quote is not closed */
	SCAN_MISPLACED, /* something follows the end of a quoted cell */
} Scan;

static void
add_cell(CsvDecoder *csv, const char *text, size_t length)
{
	if (csv->cell_count == csv->cell_capacity)
	{
		csv->cell_capacity = csv->cell_capacity * 2 + 32;
		csv->cells = memory_resize(csv->cells, csv->cell_capacity * sizeof(Cell));
	}
	csv->cells[csv->cell_count++] = (Cell){text, length, false};
}

static const char *
without_return(const char *start, const char *end)
{
	return end > start && end[-1] == '\r' ? end - 1 : end;
}

/* Splits a line that has no quotes. */
static void
split_plain(CsvDecoder *csv, const char *line, const char *end)
{
	for (;;)
	{
		const char *found = memchr(line, csv->delimiter, (size_t) (end - line));

		if (found == NULL)
			break;
		add_cell(csv, line, (size_t) (found - line));
		line = found + 1;
	}
	add_cell(csv, line, (size_t) (end - line));
}

/*
 * Reads a quoted cell; *c is after its first quote, and later after its last.  A text with "" in it
 * is copied to where there is room for all such texts, so that none is moved.
 */
static Scan
scan_quoted(CsvDecoder *csv, const char **c, const char *end)
{
	Bytes *unquoted = &csv->unquoted;
	const char *start = *c;
	size_t copy = unquoted->length;

	for (;;)
	{
		const char *quote = memchr(*c, '"', (size_t) (end - *c));

		if (quote == NULL)
			return SCAN_OPEN;
		if (quote + 1 < end && quote[1] == '"')
		{
			bytes_append(unquoted, *c, (size_t) (quote + 1 - *c));
			*c = quote + 2;
			continue;
		}
		if (*c == start)
			add_cell(csv, start, (size_t) (quote - start));
		else
		{
			bytes_append(unquoted, *c, (size_t) (quote - *c));
			add_cell(csv, unquoted->data + copy, unquoted->length - copy);
		}
		*c = quote + 1;
		return SCAN_GOOD;
	}
}

/* Splits a record with quotes; *next is after its line end. */
static Scan
split_quoted(CsvDecoder *csv, const char *data, const char *end, const char **next)
{
	const char *c = data;

	csv->unquoted.length = 0;
	bytes_reserve(&csv->unquoted, (size_t) (end - data)); /* cells point into it */
	for (;;)
	{
		if (c < end && *c == '"')
		{
			Scan scan;

			c++;
			scan = scan_quoted(csv, &c, end);
			if (scan != SCAN_GOOD)
				return scan;
			if (c + 1 < end && c[0] == '\r' && c[1] == '\n')
				c++;
			if (c < end && *c != csv->delimiter && *c != '\n')
				return SCAN_MISPLACED;
		}
		else
		{
			const char *start = c;

			while (c < end && *c != csv->delimiter && *c != '\n')
				c++;
			add_cell(csv, start,
					 (size_t) ((c < end && *c == '\n' ? without_return(start, c) : c) - start));
		}
		if (c == end)
			return SCAN_OPEN; /* the line end is not there yet */
		c++;
		if (c[-1] == '\n')
		{
			*next = c;
			return SCAN_GOOD;
		}
	}
}

/* Splits the record at *data into cells. */
static DecoderStatus
split(CsvDecoder *csv, const char **data, const char *end, bool last, uint64_t *lines,
	  MessageError *error)
{
	const char *line = *data;
	const char *line_end = memchr(line, '\n', (size_t) (end - line));
	const char *next;

	if (line_end == NULL)
		return DECODER_MORE;
	csv->cell_count = 0;
	if (memchr(line, '"', (size_t) (line_end - line)) == NULL)
	{
		*data = line_end + 1;
		++*lines;
		line_end = without_return(line, line_end);
		if (line < line_end)
			split_plain(csv, line, line_end);
		return DECODER_RECORD;
	}
	switch (split_quoted(csv, line, end, &next))
	{
		case SCAN_GOOD:
			for (const char *c = line; c < next && (c = memchr(c, '\n', (size_t) (next - c))); c++)
				++*lines;
			*data = next;
			return DECODER_RECORD;
		case SCAN_OPEN:
			if (!last && (size_t) (end - line) < DECODER_MAX_RECORD)
				return DECODER_MORE;
			decoder_set_error(error, "", "a quote is not closed");
			break;
		case SCAN_MISPLACED:
			decoder_set_error(error, "", "something follows the end of a quoted text");
			break;
	}
	*data = line_end + 1;
	++*lines;
	return DECODER_RECORD;
}

static DecoderStatus
csv_next(Decoder *decoder, const char **data, const char *end, bool last, Stage *stage,
		 uint64_t *lines, MessageError *error)
{
	CsvDecoder *csv = (CsvDecoder *) decoder;
	DecoderStatus status = split(csv, data, end, last, lines, error);

	if (status == DECODER_RECORD && error->detail[0] == '\0' && csv->cell_count > 0)
		decoder_stage_cells(decoder, csv->cells, csv->cell_count, stage, error);
	return status;
}

/* Splits the names that the command line gives. */
static void
split_names(CsvDecoder *csv, const char *names)
{
	char delimiter = csv->delimiter;

	csv->cell_count = 0;
	csv->delimiter = ',';
	split_plain(csv, names, names + strlen(names));
	csv->delimiter = delimiter;
}

static DecoderStatus
csv_header(Decoder *decoder, const char **data, const char *end, bool last, uint64_t *lines,
		   MessageError *error)
{
	CsvDecoder *csv = (CsvDecoder *) decoder;
	bool has_header = !decoder->wishes.no_header && decoder->wishes.names == NULL;
	const char *begin;
	ColumnName *names;
	bool good;

	if (!last && end - *data < 3)
		return DECODER_MORE;
	if (end - *data >= 3 && memcmp(*data, "\xEF\xBB\xBF", 3) == 0)
		*data += 3; /* the mark of UTF-8 that Windows puts there */
	begin = *data;
	if (split(csv, data, end, last, lines, error) == DECODER_MORE)
	{
		if (!last)
			return DECODER_MORE;
		decoder_set_error(error, "", "it is empty");
		return DECODER_BROKEN;
	}
	if (error->detail[0] != '\0')
		return DECODER_BROKEN;
	if (!has_header)
	{
		*data = begin; /* it is a row */
		*lines = 0;
	}
	if (decoder->wishes.names != NULL)
		split_names(csv, decoder->wishes.names);
	names = memory_new((csv->cell_count + 1) * sizeof(ColumnName));
	for (size_t i = 0; i < csv->cell_count; i++)
		names[i] = (ColumnName){csv->cells[i].text, csv->cells[i].length};
	good = decoder_set_columns(decoder, has_header || decoder->wishes.names != NULL ? names : NULL,
							   csv->cell_count, error);
	free(names);
	return good ? DECODER_RECORD : DECODER_BROKEN;
}

static void
csv_free(Decoder *decoder)
{
	CsvDecoder *csv = (CsvDecoder *) decoder;

	columns_free(&decoder->columns);
	bytes_free(&csv->unquoted);
	free(csv->cells);
	free(csv);
}

Decoder *
csv_decoder_new(char delimiter)
{
	CsvDecoder *csv = memory_new(sizeof(CsvDecoder));

	csv->base.next = csv_next;
	csv->base.header = csv_header;
	csv->base.free = csv_free;
	csv->delimiter = delimiter;
	return &csv->base;
}
