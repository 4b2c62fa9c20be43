/*
 * change_text.h
 *	  Changes of a historian table as JSON, for other systems.
 *
 * A change is one JSON object (docs/change-data.md describes it):
 *
 *	  {"op":"insert","schema":..,"table":..,"relid":..,"rows":[{"tag":..,"times":[..],"values":[[..],..]},..]}
 *	  {"op":"delete", ..,"rows":[{"tag":..,"times":[..]},{"tag":..,"first":..,"last":..},..]}
 *	  {"op":"rename", ..,"tag":..,"new_tag":..}
 *	  {"op":"truncate", ..}
 *
 * Inserted rows have a compact form too, in which the segments are as the table has them:
 *
 *	  "HCH1", uint32 relid, four strings (schema, table and, or empty, those of the parent), segments
 *
 * A string or segment is a uint16 with its length, and its bytes; numbers are little-endian.  The
 * compact form of a message becomes one or several objects.
 */
#ifndef HISTORIAN_CHANGE_TEXT_H
#define HISTORIAN_CHANGE_TEXT_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "store/decoded_rows.h"

/* The prefixes of messages in the WAL, which tell their form. */
#define CHANGE_TEXT_JSON "historian.json"
#define CHANGE_TEXT_COMPACT "historian.compact"

/* A message or object that has become so long is handed on, and the next rows begin another. */
#define CHANGE_TEXT_ENOUGH_BYTES (256 * 1024)

/* Of which table a change is.  The parent is the partitioned table that is published, or NULL. */
typedef struct ChangeTable
{
	Oid			relid;
	const char *schema;
	const char *table;
	const char *parent_schema;
	const char *parent_table;
} ChangeTable;

/* Takes one JSON object, which is also terminated by a zero byte. */
typedef void (*ChangeTextEmit) (void *argument, const char *json, Size length);

/* Changes of one table on their way.  change_text_begin() fills it in.  Without emit they are only checked. */
typedef struct ChangeText
{
	const ChangeTable *table;
	ChangeTextEmit emit;
	void	   *argument;
	StringInfoData json;
	const char *op;				/* of the object that is open, or NULL */
	DecodedRows decoded;
} ChangeText;

extern void change_text_begin(ChangeText *out, const ChangeTable *table, ChangeTextEmit emit,
							  void *argument);

/* Hands the object that is open on, and frees the memory. */
extern void change_text_end(ChangeText *out);

/* Rows were deleted, by times or a range. */
extern void change_text_times(ChangeText *out, const char *tag, Size tag_bytes,
							  const int64 *times, uint64 ntimes);
extern void change_text_range(ChangeText *out, const char *tag, Size tag_bytes, int64 first,
							  int64 last);
extern void change_text_rename(ChangeText *out, const char *tag, Size tag_bytes,
							   const char *new_tag, Size new_tag_bytes);
extern void change_text_truncate(ChangeText *out);

/*
 * The rows of a segment were inserted, and replace those of their tag and times.  Raises an error if
 * its bytes are damaged.
 */
extern void change_text_segment(ChangeText *out, const uint8 *bytes, Size length);

/* Begins the compact form in an empty buffer; adds a segment. */
extern void change_text_compact_begin(StringInfo buffer, const ChangeTable *table);
extern void change_text_compact_add(StringInfo buffer, const uint8 *bytes, Size length);

/*
 * Hands a message in the compact form on as JSON, or only checks it if emit is NULL.  Raises an error
 * if it is none.
 */
extern void change_text_compact_read(const char *bytes, Size length, ChangeTextEmit emit,
									 void *argument);

/* Raises an error if a message in the form of JSON is not one object in one line. */
extern void change_text_json_check(const char *bytes, Size length);

#endif							/* HISTORIAN_CHANGE_TEXT_H */
