/*
 * compact_function.c
 *	  historian.compact() and historian.compact_due(): compaction on demand.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "command_work.h"
#include "compat.h"
#include "historian_table.h"
#include "store/compaction_notes.h"
#include "store/directory.h"
#include "write/compaction.h"
#include "write/noted_tags.h"
#include "write/relocation.h"

PG_FUNCTION_INFO_V1(historian_compact);
PG_FUNCTION_INFO_V1(historian_compact_due);

static Datum compact(FunctionCallInfo fcinfo, const char *name, bool everything);
static void compact_table(Relation rel, bool everything, CompactionCounts *counts);
static void compact_noted(Relation rel, CompactionOptions *options, CompactionCounts *counts);

/*
 * historian.compact(table regclass)
 * returns (tags bigint, segments_merged bigint, segments_written bigint, rows bigint)
 */
Datum
historian_compact(PG_FUNCTION_ARGS)
{
	return compact(fcinfo, "historian.compact()", true);
}

/*
 * historian.compact_due(table regclass)
 * returns (tags bigint, segments_merged bigint, segments_written bigint, rows bigint)
 */
Datum
historian_compact_due(PG_FUNCTION_ARGS)
{
	return compact(fcinfo, "historian.compact_due()", false);
}

/*
 * Compacts a table, or the leaves of a parent, for the function of this name: everything, or only
 * what background compaction would.  Waits until the present loads have ended.
 */
static Datum
compact(FunctionCallInfo fcinfo, const char *name, bool everything)
{
	CompactionCounts counts = {0};
	TupleDesc	desc;
	Datum		values[4];
	bool		isnull[4] = {false};
	List	   *tables;
	ListCell   *cell;

	historian_table_check_may_write(name);
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s needs the isolation level READ COMMITTED", name),
				errdetail("Compaction merges rows that were committed after the transaction's snapshot was taken."));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	tables = historian_table_open_leaves(PG_GETARG_OID(0), ACL_NO_RIGHTS, RowExclusiveLock, NULL, false);
	foreach(cell, tables)
		compact_table(lfirst(cell), everything, &counts);
	historian_table_close_leaves(tables);

	values[0] = Int64GetDatum(counts.tags);
	values[1] = Int64GetDatum(counts.segments_merged);
	values[2] = Int64GetDatum(counts.segments_written);
	values[3] = Int64GetDatum(counts.rows);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

/* Compacts one table, and adds what it has done to *counts. */
static void
compact_table(Relation rel, bool everything, CompactionCounts *counts)
{
	CompactionOptions options = {.everything = everything, .wait = true};
	CompactionHorizon horizon;
	text	   *after = NULL;

	command_work_before_change(rel);
	compaction_notes_start(rel);
	horizon = compaction_horizon_take();
	compaction_horizon_reached(rel, &horizon, true);
	options.horizon = horizon.sequence;
	if (everything)
	{
		Relocation	relocation;

		compaction_run(rel, &options, &after, counts);
		if (relocation_plan(rel, RELOCATION_LEAST, &relocation))
			relocation_run(rel, &relocation, 0);
	}
	else
		compact_noted(rel, &options, counts);
}

/* Compacts the tags that were written since the last look, or all tags if these are not known. */
static void
compact_noted(Relation rel, CompactionOptions *options, CompactionCounts *counts)
{
	text	   *after = NULL;
	CompactionLook look;

	directory_lock(rel, true);
	look = compaction_notes_take(rel);
	if (!look.full)
		options->tags = noted_tags(rel, &look, options->horizon, &options->ntags);
	compaction_run(rel, options, &after, counts);
	compaction_notes_done(rel, &look, options->horizon);
}
