/*
 * decoder.c
 *	  Makes rows of the cells of a record: what the formats with columns have in common.
 */
#include "decoder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

void
decoder_set_error(MessageError *error, const char *field, const char *format, ...)
{
	va_list args;

	snprintf(error->field, sizeof(error->field), "%s", field);
	va_start(args, format);
	vsnprintf(error->detail, sizeof(error->detail), format, args);
	va_end(args);
}

/* Values get names only where these are names for historian.tag, which has each once. */
static bool
check_names(const Columns *columns, MessageError *error)
{
	for (size_t i = 0; i < columns->value_count; i++)
	{
		if (columns->names[i][0] == '\0')
		{
			decoder_set_error(error, "", "column %zu has no name for --names",
							  columns->values[i] + 1);
			return false;
		}
		for (size_t j = 0; j < i; j++)
		{
			if (strcmp(columns->names[i], columns->names[j]) == 0)
			{
				decoder_set_error(error, "",
								  "two columns have the same name, %.60s: --names "
								  "needs different ones",
								  columns->names[i]);
				return false;
			}
		}
	}
	return true;
}

bool
decoder_set_columns(Decoder *decoder, const ColumnName *names, size_t count, MessageError *error)
{
	const char *wrong = columns_find(&decoder->columns, &decoder->wishes, names, count);

	if (wrong != NULL)
	{
		/* It may be longer than an error of a message. */
		fprintf(stderr, "historian: %s\n", wrong);
		decoder_set_error(error, "", "the columns are not clear");
		return false;
	}
	if (decoder->tags == NULL)
		return true;
	if (decoder->columns.names == NULL || decoder->wishes.each_is_a_tag)
	{
		decoder_set_error(error, "",
						  decoder->wishes.each_is_a_tag
							  ? "--names does not go with --columns-are-tags"
							  : "--names needs names of columns: a header, or --columns");
		return false;
	}
	return check_names(&decoder->columns, error);
}

/* Puts the prefix before the tag; false if the result is no tag. */
static bool
make_tag(const Decoder *decoder, const char *text, size_t length, char *tag, size_t *tag_length,
		 MessageError *error)
{
	const char *prefix = decoder->wishes.tag_prefix != NULL ? decoder->wishes.tag_prefix : "";
	size_t prefix_length = strlen(prefix);

	if (length == 0)
		decoder_set_error(error, "tag", "tag is empty");
	else if (prefix_length + length > MESSAGE_MAX_TAG_BYTES)
		decoder_set_error(error, "tag", "tag is longer than %d bytes", MESSAGE_MAX_TAG_BYTES);
	else if (!utf8_valid(text, length) || utf8_has_control(text, length))
		decoder_set_error(error, "tag", "tag has a control character or is not valid UTF-8");
	else
	{
		/* Hashing reads whole words. */
		memset(tag, 0, MESSAGE_MAX_TAG_BYTES + 8);
		memcpy(tag, prefix, prefix_length);
		memcpy(tag + prefix_length, text, length);
		*tag_length = prefix_length + length;
		return true;
	}
	return false;
}

bool
decoder_stage_row(Decoder *decoder, Stage *stage, int64_t time_ns, uint32_t count, const char *text,
				  size_t length, MessageError *error)
{
	const double *values = stage_reserve(stage, count)->values;
	char tag[MESSAGE_MAX_TAG_BYTES + 8];
	size_t tag_length;
	bool has_nulls = false;

	if (!make_tag(decoder, text, length, tag, &tag_length, error))
		return false;
	for (uint32_t i = 0; i < count && !has_nulls; i++)
		has_nulls = value_is_null(&values[i]);
	if (!stage_fits(count, has_nulls, tag_length))
	{
		decoder_set_error(error, "",
						  "%u values with a tag of %zu bytes are more than a row holds (8 bytes "
						  "each, a bit each where any is null, and the tag: %d)",
						  count, tag_length, MESSAGE_MAX_ROW_BYTES);
		return false;
	}
	stage_add(stage, time_ns, count, tag, tag_length);
	if (decoder->tags != NULL)
		tag_table_add(decoder->tags, tag, (uint32_t) tag_length,
					  tag_name_hash(tag, (uint32_t) tag_length));
	return true;
}

/* Sets an error about the cell of a value. */
static bool
wrong_value(MessageError *error, const Columns *columns, size_t i, const Cell *cell,
			const char *wrong)
{
	char field[48];

	if (columns->names != NULL && columns->names[i][0] != '\0')
		snprintf(field, sizeof(field), "%.40s", columns->names[i]);
	else
		snprintf(field, sizeof(field), "column %zu", columns->values[i] + 1);
	decoder_set_error(error, field, "\"%.*s\" %s", (int) (cell->length < 40 ? cell->length : 40),
					  cell->text, wrong);
	return false;
}

/* A row of each cell that is not empty. */
static bool
stage_each(Decoder *decoder, const Cell *cells, int64_t time_ns, Stage *stage, MessageError *error)
{
	const Columns *columns = &decoder->columns;

	for (size_t i = 0; i < columns->value_count; i++)
	{
		const Cell *cell = &cells[columns->values[i]];
		double *value = stage_reserve(stage, 1)->values;
		const char *wrong = cell_value(&decoder->cells, cell, value);

		if (wrong != NULL)
			return wrong_value(error, columns, i, cell, wrong);
		if (!value_is_null(value) &&
			!decoder_stage_row(decoder, stage, time_ns, 1, columns->names[i],
							   strlen(columns->names[i]), error))
			return false;
	}
	return true;
}

/* One row of all cells. */
static bool
stage_all(Decoder *decoder, const Cell *cells, int64_t time_ns, Stage *stage, MessageError *error)
{
	const Columns *columns = &decoder->columns;
	double *values = stage_reserve(stage, MESSAGE_MAX_VALUES)->values;
	uint32_t count = 0;
	const char *tag = decoder->wishes.tag_name;

	for (size_t i = 0; i < columns->value_count; i++)
	{
		const Cell *cell = &cells[columns->values[i]];
		const char *wrong;

		if (cell->is_null && columns->value_count == 1)
			wrong = NULL; /* COPY's NULL in the place of an array */
		else if (cell_is_array(cell))
			wrong = cell_array(&decoder->cells, cell, values, &count, MESSAGE_MAX_VALUES);
		else if (count == MESSAGE_MAX_VALUES)
			wrong = "is one value too many: a row has at most 1000";
		else
			wrong = cell_value(&decoder->cells, cell, &values[count++]);
		if (wrong != NULL)
			return wrong_value(error, columns, i, cell, wrong);
	}
	if (tag != NULL)
		return decoder_stage_row(decoder, stage, time_ns, count, tag, strlen(tag), error);
	return decoder_stage_row(decoder, stage, time_ns, count, cells[columns->tag].text,
							 cells[columns->tag].length, error);
}

bool
decoder_stage_cells(Decoder *decoder, const Cell *cells, size_t count, Stage *stage,
					MessageError *error)
{
	size_t length = stage->length;
	uint32_t rows = stage->count;
	char wrong_bytes[TIMESTAMP_WRONG_BYTES];
	const Cell *time = &cells[decoder->columns.time];
	const char *wrong;
	int64_t time_ns;
	bool good;

	if (count != decoder->columns.count)
	{
		decoder_set_error(error, "", "it has %zu columns, and not %zu", count,
						  decoder->columns.count);
		return false;
	}
	wrong = cell_time(&decoder->cells, time, &time_ns, wrong_bytes);
	if (wrong != NULL)
	{
		/* What is wrong with an integer begins with the integer. */
		if (strchr("-0123456789", *wrong) != NULL)
			decoder_set_error(error, "time", "time %s", wrong);
		else
			decoder_set_error(error, "time", "time \"%.*s\" %s",
							  (int) (time->length < 40 ? time->length : 40), time->text, wrong);
		return false;
	}
	good = decoder->wishes.each_is_a_tag ? stage_each(decoder, cells, time_ns, stage, error)
										 : stage_all(decoder, cells, time_ns, stage, error);
	if (!good)
	{
		stage->length = length;
		stage->count = rows;
	}
	return good;
}
