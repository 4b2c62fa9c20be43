/*
 * downsample.c
 *	  historian.downsample(): a fixed number of samples of one tag over a window of time.
 *
 * Sample i of n stands at start + floor(i * (end - start) / n).  It is computed in 128 bits, so
 * that neither overflow nor the drift of a rounded step moves it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "access_method.h"
#include "as_of.h"
#include "command_work.h"
#include "directory.h"

PG_FUNCTION_INFO_V1(historian_downsample);

/* The most samples of one call. */
#define MAX_SAMPLES 1000000

/* A window cut into periods. */
typedef struct Window
{
	int64		start;
	int64		end;
	int32		samples;
} Window;

static Window check_window(int64 start, int64 end, int32 samples);
static int64 sample_time(const Window *window, int32 i);
static Relation open_for_reading(Oid relid);
static void put_last_samples(ReturnSetInfo *result, AsOfReader *reader, const Window *window);

/*
 * historian.downsample(table regclass, tag text, start bigint, "end" bigint, samples integer,
 * method text) returns setof (time bigint, values float8[])
 */
Datum
historian_downsample(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *tag = PG_GETARG_TEXT_PP(1);
	Window		window = check_window(PG_GETARG_INT64(2), PG_GETARG_INT64(3), PG_GETARG_INT32(4));
	char	   *method = text_to_cstring(PG_GETARG_TEXT_PP(5));
	Snapshot	snapshot = GetActiveSnapshot();
	DirectoryCursor *cursor;
	AsOfReader *reader;
	Relation	rel;

	if (strcmp(method, "last") != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("unknown method \"%s\"", method),
				errhint("The method of this version is \"last\"."));

	rel = open_for_reading(PG_GETARG_OID(0));
	InitMaterializedSRF(fcinfo, 0);
	cursor = directory_begin(rel, snapshot);
	if (directory_has_tag(cursor, tag))
	{
		reader = as_of_begin(rel, cursor, snapshot);
		as_of_start(reader, tag, window.end);
		put_last_samples(result, reader, &window);
		as_of_end(reader);
	}
	directory_end(cursor);
	table_close(rel, NoLock);
	return (Datum) 0;
}

static Window
check_window(int64 start, int64 end, int32 samples)
{
	if (start >= end)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("start (" INT64_FORMAT ") must be less than end (" INT64_FORMAT ")", start,
					   end));
	if (samples < 1 || samples > MAX_SAMPLES)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("number of samples must be between 1 and %d", MAX_SAMPLES));
	return (Window) {.start = start, .end = end, .samples = samples};
}

/* The end of period i, from 1. */
static int64
sample_time(const Window *window, int32 i)
{
	uint64		length = (uint64) window->end - (uint64) window->start;
	uint64		offset = (uint64) ((uint128) length * i / window->samples);

	return (int64) ((uint64) window->start + offset);
}

/* Opens a historian table that the user may SELECT from. */
static Relation
open_for_reading(Oid relid)
{
	Relation	rel = historian_table_open(relid, AccessShareLock);
	AclResult	access = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);

	if (access != ACLCHECK_OK)
		aclcheck_error(access, get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));
	if (check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("row-level security is in force on historian table \"%s\"",
					   RelationGetRelationName(rel)),
				errhint("Use SELECT, which applies the policies, instead of this function."));
	command_work_flush(relid);
	return rel;
}

/* Period-end, carry-in: the last row at or before each sample's time, however old. */
static void
put_last_samples(ReturnSetInfo *result, AsOfReader *reader, const Window *window)
{
	Datum		row[2] = {0};
	bool		isnull[2] = {false, true};

	for (int32 i = 1; i <= window->samples; i++)
	{
		bool		changed;
		int64		time = sample_time(window, i);

		CHECK_FOR_INTERRUPTS();
		if (as_of_seek(reader, time, &changed))
		{
			if (changed)
			{
				if (!isnull[1])
					pfree(DatumGetPointer(row[1]));
				row[1] = as_of_values(reader, &isnull[1]);
			}
		}
		row[0] = Int64GetDatum(time);
		tuplestore_putvalues(result->setResult, result->setDesc, row, isnull);
	}
}
