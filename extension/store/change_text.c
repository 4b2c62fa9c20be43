/*
 * change_text.c
 *	  Changes of a historian table as JSON, for other systems.
 *
 * Doubles are printed with the fewest digits that give the same double again; times are integers.
 * JSON has no NaN and no infinities, so these are strings.  Text is in the encoding of the database,
 * as all that logical decoding sends.
 */
#include "postgres.h"

#include "store/change_text.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "store/segment_bytes.h"
#include "store/shared_segment.h"

/* What a number takes at most, with a comma. */
#define NUMBER_BYTES (DOUBLE_SHORTEST_DECIMAL_LEN + 1)

static const char compact_magic[4] = {'H', 'C', 'H', '1'};

/* A message in the compact form that is being read. */
typedef struct CompactReader
{
	const uint8 *next;
	const uint8 *end;
} CompactReader;

static void put_rows(ChangeText *out, const char *tag, Size tag_bytes, const CodecRows *rows,
					 uint32 first, uint32 end);
static void put_row_values(StringInfo json, const CodecRows *rows, uint32 row);
static void put_double(StringInfo json, double value);
static void put_int64(StringInfo json, int64 value);
static void put_times(StringInfo json, const int64 *times, uint64 ntimes);
static void put_tag(StringInfo json, const char *key, const char *tag, Size tag_bytes);
static void begin_object(ChangeText *out, const char *op);
static void begin_entry(ChangeText *out, const char *op, const char *tag, Size tag_bytes);
static void end_object(ChangeText *out);
static void put_segment(ChangeText *out, const Segment *segment, const char *tag, Size tag_bytes);
static void put_string(StringInfo buffer, const char *string);
static char *read_string(CompactReader *reader);
static const uint8 *read_bytes(CompactReader *reader, Size *length);
pg_noreturn static void report_damage(void);

void
change_text_begin(ChangeText *out, const ChangeTable *table, ChangeTextEmit emit, void *argument)
{
	*out = (ChangeText) {.table = table, .emit = emit, .argument = argument};
	initStringInfo(&out->json);
}

void
change_text_end(ChangeText *out)
{
	end_object(out);
	pfree(out->json.data);
	decoded_rows_free(&out->decoded);
}

void
change_text_times(ChangeText *out, const char *tag, Size tag_bytes, const int64 *times,
				  uint64 ntimes)
{
	uint64		step = CHANGE_TEXT_ENOUGH_BYTES / NUMBER_BYTES;

	for (uint64 first = 0; first < ntimes; first += step)
	{
		begin_entry(out, "delete", tag, tag_bytes);
		put_times(&out->json, times + first, Min(step, ntimes - first));
		appendStringInfoChar(&out->json, '}');
	}
}

void
change_text_range(ChangeText *out, const char *tag, Size tag_bytes, int64 first, int64 last)
{
	begin_entry(out, "delete", tag, tag_bytes);
	appendStringInfo(&out->json, ",\"first\":" INT64_FORMAT ",\"last\":" INT64_FORMAT "}", first,
					 last);
}

void
change_text_rename(ChangeText *out, const char *tag, Size tag_bytes, const char *new_tag,
				   Size new_tag_bytes)
{
	begin_object(out, "rename");
	appendStringInfoChar(&out->json, ',');
	put_tag(&out->json, "tag", tag, tag_bytes);
	appendStringInfoChar(&out->json, ',');
	put_tag(&out->json, "new_tag", new_tag, new_tag_bytes);
	end_object(out);
}

void
change_text_truncate(ChangeText *out)
{
	begin_object(out, "truncate");
	end_object(out);
}

void
change_text_segment(ChangeText *out, const uint8 *bytes, Size length)
{
	SegmentHeader header;
	Segment		segment;

	if (segment_read_header(&header, bytes, length) != SEGMENT_OK)
		report_damage();
	if (header.flags & ~(SEGMENT_COMPACTED | SEGMENT_SHARED))
		report_damage();
	if (header.flags & SEGMENT_SHARED)
	{
		SharedReader reader;

		if (shared_reader_open(&reader, bytes, length, false) != SEGMENT_OK)
			report_damage();
		while (shared_reader_next(&reader))
		{
			if (shared_reader_rows(&reader, &segment) != SEGMENT_OK)
				report_damage();
			put_segment(out, &segment, reader.tag, reader.tag_bytes);
		}
		if (reader.status != SEGMENT_OK)
			report_damage();
		return;
	}
	if (segment_open(&segment, bytes, length, false) != SEGMENT_OK)
		report_damage();
	put_segment(out, &segment, segment.header.tag, segment.header.tag_bytes);
}

void
change_text_compact_begin(StringInfo buffer, const ChangeTable *table)
{
	uint8		relid[sizeof(uint32)];

	segment_bytes_put32(relid, table->relid);
	appendBinaryStringInfo(buffer, compact_magic, sizeof(compact_magic));
	appendBinaryStringInfo(buffer, (char *) relid, sizeof(relid));
	put_string(buffer, table->schema);
	put_string(buffer, table->table);
	put_string(buffer, table->parent_schema != NULL ? table->parent_schema : "");
	put_string(buffer, table->parent_table != NULL ? table->parent_table : "");
}

void
change_text_compact_add(StringInfo buffer, const uint8 *bytes, Size length)
{
	uint8		number[sizeof(uint16)];

	Assert(length <= PG_UINT16_MAX);
	segment_bytes_put16(number, length);
	appendBinaryStringInfo(buffer, (char *) number, sizeof(number));
	appendBinaryStringInfo(buffer, (const char *) bytes, length);
}

void
change_text_compact_read(const char *bytes, Size length, ChangeTextEmit emit, void *argument)
{
	CompactReader reader = {(const uint8 *) bytes, (const uint8 *) bytes + length};
	ChangeTable table;
	ChangeText text;

	if (length < sizeof(compact_magic) + sizeof(uint32) ||
		memcmp(bytes, compact_magic, sizeof(compact_magic)) != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				errmsg("the message has no changes of a historian table"),
				errhint("Messages with the prefixes \"%s\" and \"%s\" have some.",
						CHANGE_TEXT_COMPACT, CHANGE_TEXT_JSON));
	reader.next += sizeof(compact_magic);
	table.relid = segment_bytes_get32(reader.next);
	reader.next += sizeof(uint32);
	table.schema = read_string(&reader);
	table.table = read_string(&reader);
	table.parent_schema = read_string(&reader);
	table.parent_table = read_string(&reader);
	if (table.parent_table[0] == '\0')
		table.parent_schema = table.parent_table = NULL;

	change_text_begin(&text, &table, emit, argument);
	while (reader.next < reader.end)
	{
		Size		segment_bytes;
		const uint8 *segment = read_bytes(&reader, &segment_bytes);

		CHECK_FOR_INTERRUPTS();
		change_text_segment(&text, segment, segment_bytes);
	}
	change_text_end(&text);
}

void
change_text_json_check(const char *bytes, Size length)
{
	if (length == 0 || bytes[0] != '{')
		report_damage();
	for (Size i = 0; i < length; i++)
	{
		if ((uint8) bytes[i] < ' ')
			report_damage();
	}
	pg_verifymbstr(bytes, length, false);
	/* raises an error for what is not JSON */
	(void) DirectFunctionCall1(json_in, CStringGetDatum(pnstrdup(bytes, length)));
}

/* Puts the rows first .. end - 1 as one entry of an insertion. */
static void
put_rows(ChangeText *out, const char *tag, Size tag_bytes, const CodecRows *rows, uint32 first,
		 uint32 end)
{
	StringInfo	json = &out->json;

	begin_entry(out, "insert", tag, tag_bytes);
	put_times(json, rows->time + first, end - first);
	appendStringInfoString(json, ",\"values\":[");
	for (uint32 row = first; row < end; row++)
	{
		if (row > first)
			appendStringInfoChar(json, ',');
		put_row_values(json, rows, row);
	}
	appendStringInfoString(json, "]}");
}

static void
put_row_values(StringInfo json, const CodecRows *rows, uint32 row)
{
	uint32		width = rows->width != NULL ? rows->width[row] : rows->nvalues;

	if (width == CODEC_WIDTH_NULL)
	{
		appendStringInfoString(json, "null");
		return;
	}
	enlargeStringInfo(json, (width + 1) * NUMBER_BYTES);
	json->data[json->len++] = '[';
	for (uint32 v = 0; v < width; v++)
	{
		Size		at = row * rows->row_stride + v * rows->value_stride;

		if (v > 0)
			json->data[json->len++] = ',';
		if (rows->isnull != NULL && rows->isnull[at])
		{
			memcpy(json->data + json->len, "null", 4);
			json->len += 4;
		}
		else
			put_double(json, rows->values[at]);
	}
	json->data[json->len++] = ']';
	json->data[json->len] = '\0';
}

/* The buffer has room for NUMBER_BYTES. */
static void
put_double(StringInfo json, double value)
{
	const char *name;

	if (likely(isfinite(value)))
	{
		json->len += double_to_shortest_decimal_bufn(value, json->data + json->len);
		return;
	}
	name = isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
	memcpy(json->data + json->len, name, strlen(name));
	json->len += strlen(name);
}

/* The buffer has room for NUMBER_BYTES. */
static void
put_int64(StringInfo json, int64 value)
{
	json->len += pg_lltoa(value, json->data + json->len);
}

static void
put_times(StringInfo json, const int64 *times, uint64 ntimes)
{
	appendStringInfoString(json, ",\"times\":[");
	enlargeStringInfo(json, ntimes * NUMBER_BYTES);
	for (uint64 i = 0; i < ntimes; i++)
	{
		if (i > 0)
			json->data[json->len++] = ',';
		put_int64(json, times[i]);
	}
	appendStringInfoChar(json, ']');
}

static void
put_tag(StringInfo json, const char *key, const char *tag, Size tag_bytes)
{
	char		terminated[SEGMENT_MAX_TAG_BYTES + 1];

	memcpy(terminated, tag, tag_bytes);
	terminated[tag_bytes] = '\0';
	appendStringInfo(json, "\"%s\":", key);
	escape_json(json, terminated);
}

/* Begins an object, and hands on the one that is open. */
static void
begin_object(ChangeText *out, const char *op)
{
	StringInfo	json = &out->json;
	const ChangeTable *table = out->table;

	end_object(out);
	out->op = op;

	appendStringInfo(json, "{\"op\":\"%s\",\"schema\":", op);
	escape_json(json, table->schema);
	appendStringInfoString(json, ",\"table\":");
	escape_json(json, table->table);
	appendStringInfo(json, ",\"relid\":%u", table->relid);
	if (table->parent_table == NULL)
		return;
	appendStringInfoString(json, ",\"parent_schema\":");
	escape_json(json, table->parent_schema);
	appendStringInfoString(json, ",\"parent_table\":");
	escape_json(json, table->parent_table);
}

/* Begins an entry of the rows of an object, which goes on unless it is another kind's or long. */
static void
begin_entry(ChangeText *out, const char *op, const char *tag, Size tag_bytes)
{
	StringInfo	json = &out->json;

	if (out->op == NULL || strcmp(out->op, op) != 0 || json->len >= CHANGE_TEXT_ENOUGH_BYTES)
	{
		begin_object(out, op);
		appendStringInfoString(json, ",\"rows\":[{");
	}
	else
		appendStringInfoString(json, ",{");
	put_tag(json, "tag", tag, tag_bytes);
}

static void
end_object(ChangeText *out)
{
	if (out->op == NULL)
		return;
	if (strcmp(out->op, "insert") == 0 || strcmp(out->op, "delete") == 0)
		appendStringInfoChar(&out->json, ']');
	appendStringInfoChar(&out->json, '}');
	out->emit(out->argument, out->json.data, out->json.len);

	resetStringInfo(&out->json);
	out->op = NULL;
}

/* Puts the rows of an opened segment, or of the part of one that a tag has. */
static void
put_segment(ChangeText *out, const Segment *segment, const char *tag, Size tag_bytes)
{
	CodecRows	rows;
	uint32		step;

	if (tag_bytes > SEGMENT_MAX_TAG_BYTES ||
		!decoded_rows_load(&out->decoded, segment, PG_INT64_MIN, PG_INT64_MAX, values_all))
		report_damage();
	/* anybody may have made the message, and nobody looks at what is sent to consumers */
	pg_verifymbstr(tag, tag_bytes, false);
	if (out->emit == NULL)
		return;
	rows = decoded_rows_source(&out->decoded);
	/* a segment of constant values may have a thousand times as many bytes as JSON */
	step = Max(1, CHANGE_TEXT_ENOUGH_BYTES / ((rows.nvalues + 1) * NUMBER_BYTES));
	for (uint32 first = 0; first < rows.nrows; first += step)
		put_rows(out, tag, tag_bytes, &rows, first, Min(first + step, rows.nrows));
}

static void
put_string(StringInfo buffer, const char *string)
{
	change_text_compact_add(buffer, (const uint8 *) string, strlen(string));
}

static char *
read_string(CompactReader *reader)
{
	Size		length;
	const uint8 *bytes = read_bytes(reader, &length);

	pg_verifymbstr((const char *) bytes, length, false);
	return pnstrdup((const char *) bytes, length);
}

static const uint8 *
read_bytes(CompactReader *reader, Size *length)
{
	const uint8 *bytes;

	if (reader->end - reader->next < sizeof(uint16))
		report_damage();
	*length = segment_bytes_get16(reader->next);
	bytes = reader->next + sizeof(uint16);
	if (*length > (Size) (reader->end - bytes))
		report_damage();
	reader->next = bytes + *length;
	return bytes;
}

static void
report_damage(void)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("a message with changes of a historian table is damaged"));
}
