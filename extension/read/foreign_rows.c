/*
 * foreign_rows.c
 *	  Reads foreign partitions and tables with policies, and deletes from foreign ones, by SQL.
 *
 * The queries have a form that postgres_fdw has the other server answer: conditions on tag and time,
 * ORDER BY time, LIMIT, and aggregates by tag.  There they are HistorianScan and
 * HistorianAggregate.  Within a transaction postgres_fdw reads each server under one snapshot.
 *
 * A DELETE has that form, too, because the other server would refuse one that names rows by ctid.
 *
 * A table whose policies of row-level security depend on more than the tag (row_policy.h) is read in
 * the same way, so that the executor applies them.
 *
 * Any foreign table will do whose rows of a tag have different times, as those of a historian table
 * have.
 */
#include "postgres.h"

#include "read/foreign_rows.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "columns.h"
#include "tag.h"

/* The rows of a batch; no more than a segment may have. */
#define FETCHED_ROWS 500

struct ForeignRows
{
	Relation	rel;
	text	   *tag;
	bool		backward;
	bool		begun;
	int64		last_time;		/* of the rows returned, if begun */
	Portal		cursor;
};

/* The elements of the arrays of a batch. */
typedef struct Arrays
{
	uint16		width[FETCHED_ROWS];
	Datum	   *values[FETCHED_ROWS];
	bool	   *isnull[FETCHED_ROWS];
	uint32		widest;
	bool		ragged;
	bool		nulls;
} Arrays;

static const char *table_name(Relation rel);
static const char *column_name(Relation rel, AttrNumber number);
static const char *tag_expression(Relation rel, AttrNumber number);
static void take_arrays(Relation rel, Arrays *arrays);
static void fill(const Arrays *arrays, bool backward, DecodedRows *rows);
static void check_times(ForeignRows *reader, const DecodedRows *rows);
static int	compare_tags(const void *left, const void *right);

ForeignRows *
foreign_rows_begin(Relation rel, text *tag, int64 from, int64 until, bool backward, int64 limit)
{
	ForeignRows *reader = palloc0_object(ForeignRows);
	HistorianColumns columns = columns_of(rel);
	Oid			types[] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[] = {
		PointerGetDatum(tag),
		Int64GetDatum(from),
		Int64GetDatum(until),
	};
	StringInfoData sql;

	reader->rel = rel;
	reader->tag = tag;
	reader->backward = backward;
	SPI_connect();
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s, %s FROM %s WHERE %s OPERATOR(pg_catalog.=) $1",
					 column_name(rel, columns.time), column_name(rel, columns.values),
					 table_name(rel), tag_expression(rel, columns.tag));
	appendStringInfo(&sql, " AND %s OPERATOR(pg_catalog.>=) $2 AND %s OPERATOR(pg_catalog.<=) $3",
					 column_name(rel, columns.time), column_name(rel, columns.time));
	appendStringInfo(&sql, " ORDER BY %s %s", column_name(rel, columns.time),
					 backward ? "DESC" : "ASC");
	if (limit > 0)
		appendStringInfo(&sql, " LIMIT " INT64_FORMAT, limit);
	reader->cursor = SPI_cursor_open_with_args(NULL, sql.data, lengthof(types), types, values,
											   NULL, true, 0);
	SPI_finish();
	return reader;
}

bool
foreign_rows_next(ForeignRows *reader, DecodedRows *rows)
{
	MemoryContext caller = CurrentMemoryContext;
	Arrays	   *arrays;
	uint64		nrows;

	CHECK_FOR_INTERRUPTS();
	SPI_connect();
	SPI_cursor_fetch(reader->cursor, true, FETCHED_ROWS);
	nrows = SPI_processed;
	if (nrows > 0)
	{
		arrays = palloc(sizeof(Arrays));
		take_arrays(reader->rel, arrays);
		MemoryContextSwitchTo(caller);
		decoded_rows_reserve(rows, nrows, arrays->widest, arrays->ragged, arrays->nulls);
		fill(arrays, reader->backward, rows);
	}
	SPI_finish();
	MemoryContextSwitchTo(caller);
	if (nrows > 0)
		check_times(reader, rows);
	return nrows > 0;
}

void
foreign_rows_end(ForeignRows *reader)
{
	SPI_cursor_close(reader->cursor);
	pfree(reader);
}

bool
foreign_rows_has_tag(Relation rel, text *tag)
{
	ForeignRows *reader = foreign_rows_begin(rel, tag, PG_INT64_MIN, PG_INT64_MAX, true, 1);
	DecodedRows rows = {0};
	bool		found = foreign_rows_next(reader, &rows);

	decoded_rows_free(&rows);
	foreign_rows_end(reader);
	return found;
}

uint32
foreign_rows_widest(Relation rel, text *tag, int64 until)
{
	HistorianColumns columns = columns_of(rel);
	Oid			types[] = {TEXTOID, INT8OID};
	Datum		values[] = {PointerGetDatum(tag), Int64GetDatum(until)};
	StringInfoData sql;
	bool		isnull;
	Datum		widest;
	uint32		result;

	SPI_connect();
	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT pg_catalog.max(pg_catalog.cardinality(%s)) FROM %s"
					 " WHERE %s OPERATOR(pg_catalog.=) $1 AND %s OPERATOR(pg_catalog.<=) $2",
					 column_name(rel, columns.values), table_name(rel),
					 tag_expression(rel, columns.tag), column_name(rel, columns.time));
	SPI_execute_with_args(sql.data, lengthof(types), types, values, NULL, true, 0);
	widest = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	result = isnull ? 0 : DatumGetInt32(widest);
	SPI_finish();
	return result;
}

ForeignTag *
foreign_rows_tags(Relation rel, text *tag, uint32 *ntags)
{
	MemoryContext caller = CurrentMemoryContext;
	HistorianColumns columns = columns_of(rel);
	Oid			types[] = {TEXTOID};
	Datum		argument = PointerGetDatum(tag);
	ForeignTag *tags;
	StringInfoData sql;

	SPI_connect();
	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT %s, pg_catalog.min(%s), pg_catalog.max(%s), pg_catalog.count(*)"
					 " FROM %s WHERE %s IS NOT NULL AND %s IS NOT NULL",
					 tag_expression(rel, columns.tag), column_name(rel, columns.time),
					 column_name(rel, columns.time), table_name(rel),
					 tag_expression(rel, columns.tag), column_name(rel, columns.time));
	if (tag != NULL)
		appendStringInfo(&sql, " AND %s OPERATOR(pg_catalog.=) $1",
						 tag_expression(rel, columns.tag));
	appendStringInfoString(&sql, " GROUP BY 1");
	SPI_execute_with_args(sql.data, tag != NULL, types, &argument, NULL, true, 0);
	*ntags = SPI_processed;
	tags = MemoryContextAllocHuge(caller, Max(*ntags, 1) * sizeof(ForeignTag));
	MemoryContextSwitchTo(caller);
	for (uint32 i = 0; i < *ntags; i++)
	{
		Datum		values[4];
		bool		isnull[4];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, isnull);
		tags[i] = (ForeignTag) {
			.tag = DatumGetTextPCopy(values[0]),
			.first_time = DatumGetInt64(values[1]),
			.last_time = DatumGetInt64(values[2]),
			.rows = DatumGetInt64(values[3]),
		};
	}
	SPI_finish();
	MemoryContextSwitchTo(caller);
	qsort(tags, *ntags, sizeof(ForeignTag), compare_tags);
	return tags;
}

int64
foreign_rows_delete(Relation rel, text *tag, int64 from, int64 until)
{
	HistorianColumns columns = columns_of(rel);
	Oid			types[] = {INT8OID, INT8OID, TEXTOID};
	Datum		values[] = {
		Int64GetDatum(from),
		Int64GetDatum(until),
		PointerGetDatum(tag),
	};
	StringInfoData sql;
	int64		count;

	SPI_connect();
	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "DELETE FROM %s WHERE %s OPERATOR(pg_catalog.>=) $1"
					 " AND %s OPERATOR(pg_catalog.<=) $2",
					 table_name(rel), column_name(rel, columns.time),
					 column_name(rel, columns.time));
	if (tag != NULL)
		appendStringInfo(&sql, " AND %s OPERATOR(pg_catalog.=) $3",
						 tag_expression(rel, columns.tag));
	SPI_execute_with_args(sql.data, tag != NULL ? 3 : 2, types, values, NULL, false, 0);
	count = SPI_processed;
	SPI_finish();
	return count;
}

/* The table as FROM names it; what inherits from it is left out, but for partitions. */
static const char *
table_name(Relation rel)
{
	return psprintf("%s%s", rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
											   RelationGetRelationName(rel)));
}

static const char *
column_name(Relation rel, AttrNumber number)
{
	return quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel), number - 1)->attname));
}

/* The tag by its bytes; a nondeterministic collation would take different tags for the same. */
static const char *
tag_expression(Relation rel, AttrNumber number)
{
	Oid			collation = TupleDescAttr(RelationGetDescr(rel), number - 1)->attcollation;

	return get_collation_isdeterministic(collation) ? column_name(rel, number)
		: psprintf("%s COLLATE pg_catalog.\"C\"", column_name(rel, number));
}

/* Takes the arrays of the batch that SPI has fetched, in its memory. */
static void
take_arrays(Relation rel, Arrays *arrays)
{
	uint32		nrows = SPI_processed;

	arrays->widest = 0;
	arrays->nulls = false;
	arrays->ragged = false;
	for (uint32 row = 0; row < nrows; row++)
	{
		bool		is_null_array;
		Datum		datum = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2,
										  &is_null_array);
		ArrayType  *array;
		int			width;

		arrays->width[row] = CODEC_WIDTH_NULL;
		if (is_null_array)
			continue;
		array = DatumGetArrayTypeP(datum);
		if (ARR_NDIM(array) > 1)
			ereport(ERROR,
					errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					errmsg("values in foreign partition \"%s\" must be one-dimensional arrays",
						   RelationGetRelationName(rel)));
		deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
						  &arrays->values[row], &arrays->isnull[row], &width);
		if (width > CODEC_MAX_VALUES)
			ereport(ERROR,
					errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("number of values (%d) in foreign partition \"%s\" exceeds the maximum allowed (%d)",
						   width, RelationGetRelationName(rel), CODEC_MAX_VALUES));
		arrays->width[row] = width;
		arrays->widest = Max(arrays->widest, (uint32) width);
		for (int v = 0; v < width; v++)
			arrays->nulls |= arrays->isnull[row][v];
	}
	for (uint32 row = 0; row < nrows; row++)
		arrays->ragged |= arrays->width[row] != arrays->widest;
}

/* Copies the batch that SPI has fetched into rows, which have room for it, in order of time. */
static void
fill(const Arrays *arrays, bool backward, DecodedRows *rows)
{
	rows->first_row = 0;
	rows->first_value = 0;
	rows->widest = arrays->widest;
	for (uint32 i = 0; i < rows->nrows; i++)
	{
		uint32		row = backward ? rows->nrows - 1 - i : i;
		uint32		width = arrays->width[i] == CODEC_WIDTH_NULL ? 0 : arrays->width[i];
		bool		isnull;

		rows->time[row] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
													  1, &isnull));
		if (rows->width != NULL)
			rows->width[row] = arrays->width[i];
		for (uint32 v = 0; v < rows->nvalues; v++)
		{
			Size		at = (Size) v * rows->nrows + row;
			bool		missing = v >= width || arrays->isnull[i][v];

			rows->values[at] = missing ? 0 : DatumGetFloat8(arrays->values[i][v]);
			if (rows->isnull != NULL)
				rows->isnull[at] = v < width && missing;
		}
	}
}

/* Raises an error unless all times differ. */
static void
check_times(ForeignRows *reader, const DecodedRows *rows)
{
	uint32		n = rows->nrows;
	int64		nearest = rows->time[reader->backward ? n - 1 : 0];
	int64		again = nearest;
	bool		twice = reader->begun && nearest == reader->last_time;

	for (uint32 row = 1; row < n && !twice; row++)
	{
		twice = rows->time[row] == rows->time[row - 1];
		again = rows->time[row];
	}
	if (twice)
		ereport(ERROR,
				errcode(ERRCODE_CARDINALITY_VIOLATION),
				errmsg("foreign partition \"%s\" has several rows of tag \"%s\" with time " INT64_FORMAT,
					   RelationGetRelationName(reader->rel), text_to_cstring(reader->tag), again),
				errhint("Make the table on the other server a historian table, which keeps the last one."));
	reader->begun = true;
	reader->last_time = rows->time[reader->backward ? 0 : n - 1];
}

static int
compare_tags(const void *left, const void *right)
{
	return tag_compare(((const ForeignTag *) left)->tag, ((const ForeignTag *) right)->tag);
}
