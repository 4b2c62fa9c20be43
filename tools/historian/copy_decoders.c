/*
 * copy_decoders.c
 *	  PostgreSQL's COPY formats text and binary.
 *
 * PostgreSQL's documentation of COPY has both.  The columns are time, tag and values, in this order
 * unless --columns says otherwise.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "decoder.h"

#define SIGNATURE		"PGCOPY\n\377\r\n"
#define SIGNATURE_BYTES 11
#define HEADER_BYTES	19
#define FLOAT8_OID		701
#define FLOAT4_OID		700

typedef struct CopyDecoder
{
	Decoder base; /* must be first */
	Cell *cells;
	size_t cell_capacity;
	Bytes text; /* of the cells of a line, without the escapes */
} CopyDecoder;

static void
set_cell(CopyDecoder *copy, size_t i, const char *text, size_t length, bool is_null)
{
	if (i >= copy->cell_capacity)
	{
		copy->cell_capacity = i * 2 + 8;
		copy->cells = memory_resize(copy->cells, copy->cell_capacity * sizeof(Cell));
	}
	copy->cells[i] = (Cell){text, length, is_null};
}

/* Takes the columns that the command line names, or time, tag and values. */
static bool
set_columns(Decoder *decoder, MessageError *error)
{
	const char *text = decoder->wishes.names != NULL ? decoder->wishes.names : "time,tag,values";
	size_t count = 1;
	ColumnName *names;
	bool good;

	for (const char *c = text; *c != '\0'; c++)
		count += *c == ',';
	names = memory_new(count * sizeof(ColumnName));
	for (size_t i = 0; i < count; i++)
	{
		names[i] = (ColumnName){text, strcspn(text, ",")};
		text += names[i].length + 1;
	}
	good = decoder_set_columns(decoder, names, count, error);
	free(names);
	return good;
}

static DecoderStatus
text_header(Decoder *decoder, const char **data, const char *end, bool last, uint64_t *lines,
			MessageError *error)
{
	(void) data;
	(void) end;
	(void) last;
	(void) lines;
	return set_columns(decoder, error) ? DECODER_RECORD : DECODER_BROKEN;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9'	  ? c - '0'
		   : c >= 'a' && c <= 'f' ? c - 'a' + 10
		   : c >= 'A' && c <= 'F' ? c - 'A' + 10
								  : -1;
}

/* Reads up to so many digits of a base after a backslash; returns the byte that they mean. */
static char
read_code(const char **c, const char *end, int base, int most)
{
	int code = 0;

	for (int i = 0; i < most && *c < end; i++, ++*c)
	{
		int digit = hex_digit(**c);

		if (digit < 0 || digit >= base)
			break;
		code = code * base + digit;
	}
	return (char) code;
}

/* Appends what a cell means, without its escapes. */
static void
put_unescaped(Bytes *out, const char *c, const char *end)
{
	static const char letters[] = "bfnrtv";
	static const char meanings[] = "\b\f\n\r\t\v";

	while (c < end)
	{
		const char *backslash = memchr(c, '\\', (size_t) (end - c));
		const char *letter;
		char meant;

		if (backslash == NULL || backslash + 1 == end)
			break;
		bytes_append(out, c, (size_t) (backslash - c));
		c = backslash + 1;
		if (*c == 'x' && c + 1 < end && hex_digit(c[1]) >= 0)
		{
			c++;
			meant = read_code(&c, end, 16, 2);
		}
		else if (*c >= '0' && *c <= '7')
			meant = read_code(&c, end, 8, 3);
		else
		{
			letter = strchr(letters, *c);
			meant = letter != NULL && *c != '\0' ? meanings[letter - letters] : *c;
			c++;
		}
		bytes_append(out, &meant, 1);
	}
	bytes_append(out, c, (size_t) (end - c));
}

static DecoderStatus
text_next(Decoder *decoder, const char **data, const char *end, bool last, Stage *stage,
		  uint64_t *lines, MessageError *error)
{
	CopyDecoder *copy = (CopyDecoder *) decoder;
	const char *line = *data;
	const char *line_end = memchr(line, '\n', (size_t) (end - line));
	size_t count = 0;

	(void) last;
	if (line_end == NULL)
		return DECODER_MORE;
	*data = line_end + 1;
	++*lines;
	if (line_end > line && line_end[-1] == '\r')
		line_end--;
	if (line_end - line == 2 && memcmp(line, "\\.", 2) == 0)
		return DECODER_END;
	copy->text.length = 0;
	bytes_reserve(&copy->text, (size_t) (line_end - line)); /* cells point into it */
	for (;;)
	{
		const char *tab = memchr(line, '\t', (size_t) (line_end - line));
		const char *cell_end = tab != NULL ? tab : line_end;

		if (cell_end - line == 2 && memcmp(line, "\\N", 2) == 0)
			set_cell(copy, count++, line, 0, true);
		else if (memchr(line, '\\', (size_t) (cell_end - line)) == NULL)
			set_cell(copy, count++, line, (size_t) (cell_end - line), false);
		else
		{
			size_t before = copy->text.length;

			put_unescaped(&copy->text, line, cell_end);
			set_cell(copy, count++, copy->text.data + before, copy->text.length - before, false);
		}
		if (tab == NULL)
			break;
		line = tab + 1;
	}
	decoder_stage_cells(decoder, copy->cells, count, stage, error);
	return DECODER_RECORD;
}

static uint16_t
get16(const char *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return be16toh(value);
}

static uint32_t
get32(const char *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return be32toh(value);
}

static uint64_t
get64(const char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return be64toh(value);
}

static DecoderStatus
broken(MessageError *error, const char *what)
{
	decoder_set_error(error, "", "%s", what);
	return DECODER_BROKEN;
}

static DecoderStatus
binary_header(Decoder *decoder, const char **data, const char *end, bool last, uint64_t *lines,
			  MessageError *error)
{
	size_t size = (size_t) (end - *data);

	(void) lines;
	if (size < HEADER_BYTES)
		return last ? broken(error, "it is shorter than the header of COPY's binary format")
					: DECODER_MORE;
	if (memcmp(*data, SIGNATURE, SIGNATURE_BYTES) != 0)
		return broken(error, "it does not begin as COPY's binary format does");
	if (get32(*data + SIGNATURE_BYTES) != 0)
		return broken(error, "its header has flags of COPY's binary format that are not known");
	if (get32(*data + SIGNATURE_BYTES + 4) > DECODER_MAX_RECORD - HEADER_BYTES)
		return broken(error, "its header is too long");
	if (size < HEADER_BYTES + get32(*data + SIGNATURE_BYTES + 4))
		return last ? broken(error, "it ends inside its header") : DECODER_MORE;
	*data += HEADER_BYTES + get32(*data + SIGNATURE_BYTES + 4);
	return set_columns(decoder, error) ? DECODER_RECORD : DECODER_BROKEN;
}

/* Reads a double of the type float8 or float4. */
static double
get_double(const char *from, uint32_t type)
{
	uint64_t bits = type == FLOAT8_OID ? get64(from) : 0;
	uint32_t short_bits = type == FLOAT4_OID ? get32(from) : 0;
	double value;
	float short_value;

	memcpy(&value, &bits, sizeof(value));
	memcpy(&short_value, &short_bits, sizeof(short_value));
	return type == FLOAT8_OID ? value : (double) short_value;
}

/* Reads an array in array_send()'s form; returns what is wrong with it, or NULL. */
static const char *
read_array(const Cell *cell, double *values, uint32_t *count)
{
	const char *c = cell->text;
	const char *end = c + cell->length;
	uint32_t type;
	uint32_t elements;

	if (cell->is_null)
		return NULL;
	if (cell->length < 12 || get32(c) > 1)
		return "are no array of one dimension";
	type = get32(c + 8);
	if (type != FLOAT8_OID && type != FLOAT4_OID)
		return "are no array of float8";
	if (get32(c) == 0)
		return NULL;
	if (cell->length < 20)
		return "are no array of one dimension";
	elements = get32(c + 12);
	c += 20;
	if (elements > MESSAGE_MAX_VALUES - *count)
		return "are more than a row may have, 1000";
	for (uint32_t i = 0; i < elements; i++)
	{
		uint32_t length = end - c >= 4 ? get32(c) : 0;

		c += 4;
		if (length == UINT32_MAX)
		{
			value_set_null(&values[(*count)++]);
			continue;
		}
		if (length != (type == FLOAT8_OID ? 8 : 4) || end - c < (ptrdiff_t) length)
			return "are a damaged array";
		values[*count] = get_double(c, type);
		if (value_is_null(&values[*count]))
			return "have a NaN with the payload that stands for NULL here";
		++*count;
		c += length;
	}
	return c == end ? NULL : "are a damaged array";
}

/* Stages the row of a tuple, whose fields are cells. */
static bool
stage_tuple(Decoder *decoder, size_t cell_count, Stage *stage, MessageError *error)
{
	const Columns *columns = &decoder->columns;
	const Cell *cells = ((CopyDecoder *) decoder)->cells;
	const Cell *time = &cells[columns->time];
	double *values = stage_reserve(stage, MESSAGE_MAX_VALUES)->values;
	uint32_t count = 0;
	const char *wrong = NULL;
	char wrong_time[TIMESTAMP_WRONG_BYTES];
	int64_t time_ns = 0;

	if (cell_count != columns->count)
		decoder_set_error(error, "", "it has %zu columns, and not %zu", cell_count, columns->count);
	else if (time->is_null || time->length != 8)
		decoder_set_error(error, "time", "time is no bigint");
	else
		wrong = timestamp_from_integer(&decoder->cells.times, (int64_t) get64(time->text), &time_ns,
									   wrong_time);
	if (wrong != NULL)
		decoder_set_error(error, "time", "time %s", wrong);
	for (size_t i = 0; i < columns->value_count && error->detail[0] == '\0'; i++)
	{
		wrong = read_array(&cells[columns->values[i]], values, &count);
		if (wrong != NULL)
			decoder_set_error(error, "values", "values %s", wrong);
	}
	if (error->detail[0] != '\0')
		return false;
	if (decoder->wishes.tag_name != NULL)
		return decoder_stage_row(decoder, stage, time_ns, count, decoder->wishes.tag_name,
								 strlen(decoder->wishes.tag_name), error);
	return decoder_stage_row(decoder, stage, time_ns, count, cells[columns->tag].text,
							 cells[columns->tag].length, error);
}

static DecoderStatus
binary_next(Decoder *decoder, const char **data, const char *end, bool last, Stage *stage,
			uint64_t *lines, MessageError *error)
{
	CopyDecoder *copy = (CopyDecoder *) decoder;
	const char *c = *data;
	size_t count;

	if (end - c < 2)
		return last ? broken(error, "it ends without the end of COPY's binary format")
					: DECODER_MORE;
	count = get16(c);
	c += 2;
	if (count == UINT16_MAX)
	{
		*data = c;
		return DECODER_END;
	}
	for (size_t i = 0; i < count; i++)
	{
		uint32_t length = end - c >= 4 ? get32(c) : 0;

		if (end - c < 4 || (length != UINT32_MAX && length > (size_t) (end - c - 4)))
		{
			if (length != UINT32_MAX && length > DECODER_MAX_RECORD)
				return broken(error, "a field is longer than a row may be");
			return last ? broken(error, "it ends inside a row") : DECODER_MORE;
		}
		c += 4;
		set_cell(copy, i, c, length == UINT32_MAX ? 0 : length, length == UINT32_MAX);
		c += length == UINT32_MAX ? 0 : length;
	}
	*data = c;
	++*lines;
	stage_tuple(decoder, count, stage, error);
	return DECODER_RECORD;
}

static void
copy_free(Decoder *decoder)
{
	CopyDecoder *copy = (CopyDecoder *) decoder;

	columns_free(&decoder->columns);
	bytes_free(&copy->text);
	free(copy->cells);
	free(copy);
}

Decoder *
copy_text_decoder_new(void)
{
	CopyDecoder *decoder = memory_new(sizeof(CopyDecoder));

	decoder->base.next = text_next;
	decoder->base.header = text_header;
	decoder->base.free = copy_free;
	return &decoder->base;
}

Decoder *
copy_binary_decoder_new(void)
{
	CopyDecoder *decoder = memory_new(sizeof(CopyDecoder));

	decoder->base.next = binary_next;
	decoder->base.header = binary_header;
	decoder->base.is_binary = true;
	decoder->base.free = copy_free;
	return &decoder->base;
}
