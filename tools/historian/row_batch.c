/*
 * row_batch.c
 *	  Decoded rows that are loaded in one transaction, and what was rejected among them.
 */
#include "row_batch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_TEXT_BYTES 65536 /* of a record, in the file of rejects */

void
row_batch_clear(RowBatch *batch)
{
	batch->new_tags.length = 0;
	batch->stage.waiting.length = 0;
	batch->stage.length = 0;
	batch->stage.count = 0;
	batch->line_count = 0;
	batch->rejects.length = 0;
	batch->reject_count = 0;
	batch->last = false;
	batch->wrong = NULL;
}

void
row_batch_free(RowBatch *batch)
{
	bytes_free(&batch->new_tags);
	free(batch->lines);
	stage_free(&batch->stage);
	bytes_free(&batch->rejects);
}

void
row_batch_note_lines(RowBatch *batch, uint64_t line)
{
	if (batch->line_capacity < batch->stage.count)
	{
		batch->line_capacity = (size_t) batch->stage.count * 2;
		batch->lines = memory_resize(batch->lines, batch->line_capacity * sizeof(uint64_t));
	}
	while (batch->line_count < batch->stage.count)
		batch->lines[batch->line_count++] = line;
}

static void
put_begin(RowBatch *batch, uint64_t line)
{
	batch->reject_count++;
	bytes_printf(&batch->rejects, "{\"line\":%llu", (unsigned long long) line);
}

void
row_batch_reject_record(RowBatch *batch, uint64_t line, const MessageError *error, const char *text,
						size_t length)
{
	Bytes *out = &batch->rejects;

	put_begin(batch, line);
	if (error->field[0] != '\0')
	{
		bytes_puts(out, ",\"field\":");
		bytes_json_string(out, error->field, strlen(error->field));
	}
	bytes_puts(out, ",\"reason\":");
	bytes_json_string(out, error->detail, strlen(error->detail));
	bytes_puts(out, ",\"text\":");
	bytes_json_string(out, text, length < MAX_TEXT_BYTES ? length : MAX_TEXT_BYTES);
	bytes_puts(out, "}\n");
}

/* JSON has no number for what is not finite. Others get as few digits as tell them apart. */
static void
put_number(Bytes *out, double value)
{
	char text[32];

	if (isnan(value))
		bytes_puts(out, "\"NaN\"");
	else if (isinf(value))
		bytes_puts(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
	else
	{
		for (int digits = 15; digits <= 17; digits++)
		{
			snprintf(text, sizeof(text), "%.*g", digits, value);
			if (strtod(text, NULL) == value)
				break;
		}
		bytes_puts(out, text);
	}
}

void
row_batch_put_json(Bytes *out, const StagedMessage *row)
{
	bytes_printf(out, "{\"time\":%lld,\"tag\":", (long long) row->time_ns);
	bytes_json_string(out, staged_tag(row), row->tag_length);
	bytes_puts(out, ",\"values\":[");
	for (uint32_t i = 0; i < row->value_count; i++)
	{
		if (i > 0)
			bytes_puts(out, ",");
		if (value_is_null(&row->values[i]))
			bytes_puts(out, "null");
		else
			put_number(out, row->values[i]);
	}
	bytes_puts(out, "]");
}

void
row_batch_reject_row(RowBatch *batch, uint64_t line, const StagedMessage *row, const char *sqlstate,
					 const char *message)
{
	Bytes *out = &batch->rejects;

	put_begin(batch, line);
	bytes_printf(out, ",\"sqlstate\":\"%s\",\"reason\":", sqlstate);
	bytes_json_string(out, message, strlen(message));
	bytes_puts(out, ",\"row\":");
	row_batch_put_json(out, row);
	bytes_puts(out, "}}\n");
}
