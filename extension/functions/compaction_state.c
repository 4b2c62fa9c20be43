/*
 * compaction_state.c
 *	  historian.stat_get_compaction() and stat_get_worker(): what compaction has done, and does now.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/timestamp.h"

#include "store/compaction_stat.h"
#include "table/compaction_worker.h"

PG_FUNCTION_INFO_V1(historian_stat_get_compaction);
PG_FUNCTION_INFO_V1(historian_stat_get_worker);

static Datum time_or_null(TimestampTz time, bool *isnull);

/*
 * historian.stat_get_compaction(table regclass) returns record
 *
 * Returns the counters of a table: zeros if it was not compacted since the server's start, NULL
 * without shared memory.
 */
Datum
historian_stat_get_compaction(PG_FUNCTION_ARGS)
{
	CompactionTableStat stat;
	TupleDesc	desc;
	Datum		values[9];
	bool		isnull[9] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!compaction_stat_get(PG_GETARG_OID(0), &stat))
		PG_RETURN_NULL();

	values[0] = Int64GetDatum(stat.counts.tags);
	values[1] = Int64GetDatum(stat.counts.segments_merged);
	values[2] = Int64GetDatum(stat.counts.segments_written);
	values[3] = Int64GetDatum(stat.counts.bytes_merged);
	values[4] = Int64GetDatum(stat.counts.bytes_written);
	values[5] = Int64GetDatum(stat.counts.rows);
	values[6] = Int64GetDatum(stat.deferred);
	values[7] = Int64GetDatum(stat.failed);
	values[8] = time_or_null(stat.last_merge, &isnull[8]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

/*
 * historian.stat_get_worker() returns record.  Without shared memory most of its columns are NULL.
 */
Datum
historian_stat_get_worker(PG_FUNCTION_ARGS)
{
	CompactionActivity now;
	bool		has_memory = compaction_stat_get_activity(&now);
	TupleDesc	desc;
	Datum		values[11] = {0};
	bool		isnull[11];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(isnull, true, sizeof(isnull));
	values[0] = BoolGetDatum(has_memory);
	values[1] = BoolGetDatum(has_memory && historian_compaction);
	isnull[0] = isnull[1] = false;
	if (!has_memory)
		PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));

	values[2] = time_or_null(now.since, &isnull[2]);
	values[3] = Int32GetDatum(now.launcher);
	isnull[3] = now.launcher == 0;
	values[4] = Int64GetDatum(now.rounds);
	isnull[4] = false;
	values[5] = time_or_null(now.round_begin, &isnull[5]);
	values[6] = time_or_null(now.round_end, &isnull[6]);
	if (now.worker != 0)
	{
		values[7] = Int32GetDatum(now.worker);
		values[8] = ObjectIdGetDatum(now.worker_database);
		values[9] = ObjectIdGetDatum(now.worker_table);
		isnull[7] = isnull[8] = false;
		isnull[9] = !OidIsValid(now.worker_table);
		values[10] = time_or_null(now.worker_begin, &isnull[10]);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, isnull)));
}

static Datum
time_or_null(TimestampTz time, bool *isnull)
{
	*isnull = time == 0;
	return TimestampTzGetDatum(time);
}
