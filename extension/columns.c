/*
 * columns.c
 *	  Finds the columns of a historian table that hold the time, the tag and the values.
 */
#include "postgres.h"

#include "columns.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"

bool
columns_find(Relation rel, HistorianColumns *columns)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		stores = rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE &&
		rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE;
	int			ncolumns = 0;

	memset(columns, 0, sizeof(*columns));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped && !stores)
			continue;
		if (attribute->attisdropped || ++ncolumns > HISTORIAN_NCOLUMNS)
			return false;
		switch (attribute->atttypid)
		{
			case INT8OID:
				columns->time = i + 1;
				break;
			case TEXTOID:
				columns->tag = i + 1;
				break;
			case FLOAT8ARRAYOID:
				columns->values = i + 1;
				break;
			default:
				return false;
		}
	}
	return columns->time != 0 && columns->tag != 0 && columns->values != 0;
}

HistorianColumns
columns_of(Relation rel)
{
	HistorianColumns columns;

	if (!columns_find(rel, &columns))
		columns_reject(RelationGetRelationName(rel));
	return columns;
}

void
columns_reject(const char *relation_name)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("relation \"%s\" cannot use the table access method \"historian\"",
				   relation_name),
			errdetail("A historian table has exactly three columns: one bigint (time in nanoseconds), one text (tag) and one double precision[] (values)."),
			errhint("Create it like this: CREATE TABLE measurement (time bigint, tag text, values float8[]) USING historian."));
}
