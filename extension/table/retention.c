/*
 * retention.c
 *	  Keeps the retention policies of one database, in the background.
 *
 * The table historian.retention has the policies, historian.retention_run what became of them.  A
 * policy concerns a table, or all leaves of a parent that have no nearer policies, and the tags with
 * a prefix.  Of several prefixes of one relation the longest that a tag has decides.
 *
 * Rows expire when they are older than the policy's interval, counted back from the clock or, if
 * that is earlier, from the newest row of the relation.  A policy is kept once in a 24th of its
 * interval (at least every day, at most every 10 s), because each time the oldest segment of each
 * tag is written anew.
 *
 * A clock that is wrong must not remove everything at once.
 *
 * - If the clock alone is ahead, the newest row limits what expires.
 * - If rows are stored with such times, too, the cutoff moves by at most two of the policy's rounds
 *	 in each round: twice as fast as time passes.  So what expires late after a pause expires in no
 *	 more time than the pause has taken, and after a leap of the clock there is time to notice.
 *	 The first round of a new or changed policy has no such limit.
 *
 * As in compaction, a worker never waits for the lock of a table, and its transactions are short.
 */
#include "postgres.h"

#include "table/retention.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "historian_table.h"
#include "read/as_of.h"
#include "read/leaves.h"
#include "store/directory.h"
#include "store/retention_queue.h"
#include "write/deletion.h"

bool		historian_retention = true;

/* Some seconds of work; the lock against compaction and deletions is held for so long. */
#define MAX_SEGMENTS_PER_TRANSACTION 10000

/* Of one relation in one round, so that compaction gets its turn; the next round goes on. */
#define MAX_TRANSACTIONS_PER_ROUND 50

#define SHORTEST_PERIOD (10 * USECS_PER_SEC)
#define LONGEST_PERIOD USECS_PER_DAY
/* All times that int64 has, in nanoseconds, are within 585 years. */
#define LONGEST_KEPT (585 * 366.0 * USECS_PER_DAY)

#define RETRY_PERIOD (10 * SECS_PER_MINUTE * USECS_PER_SEC)

/* The Unix epoch, in microseconds of a timestamptz. */
#define UNIX_EPOCH_USEC \
	((UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * (int64) SECS_PER_DAY * USECS_PER_SEC)

typedef struct Policy
{
	Oid			relid;
	text	   *prefix;
	Interval	keep;
	bool		has_run;
	TimestampTz last_run;
	bool		failed;			/* in its last run */
	int64		cutoff;			/* ns, of the last run; PG_INT64_MIN: there is none */
	int64		period;			/* us from one run to the next */
	bool		due;			/* in this round */
} Policy;

/* The policies of one relation, in one round. */
typedef struct Round
{
	Oid			relid;
	Policy	   *policies;		/* [nrules] */
	ExpiryRule *rules;			/* [nrules]; those of policies that are not due let nothing expire */
	uint32		nrules;
	int64		rows;			/* noted so far, with the other rules' */
	uint32		transactions;
	bool		interrupted;	/* a lock was not to be had, or there is too much to do */
	const char *passed_over;	/* the name of a partition that is not a historian table */
} Round;

static bool has_tables(void);
static Policy *load_policies(MemoryContext context, uint32 *npolicies);
static double interval_usec(const Interval *keep);
static int64 policy_period(const Interval *keep);
static TimestampTz policy_due(const Policy *policy, TimestampTz now);
static TimestampTz try_relation(Policy *policies, uint32 npolicies, uint32 first, uint32 end,
								TimestampTz now, MemoryContext context);
static void keep_relation(Round *round, const Policy *all, uint32 nall, TimestampTz now);
static List *governed_tables(Round *round, const Policy *all, uint32 nall);
static bool is_governed(Oid table, Oid relid, const Policy *all, uint32 nall);
static int64 newest_row(List *tables, int64 enough);
static int64 newest_row_of(Relation rel, int64 enough);
static Relation open_without_waiting(Oid relid, LOCKMODE lockmode);
static void set_cutoffs(Round *round, TimestampTz now, int64 newest);
static void expire_table(Round *round, Oid table);
static void note(Round *round, bool done, const char *error);
static void begin_transaction(void);
static void end_transaction(MemoryContext context);
static int64 time_to_ns(TimestampTz time);
static TimestampTz time_from_ns(int64 ns);

void
retention_keep(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "historian retention",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz due = DT_NOEND;
	uint32		npolicies;
	Policy	   *policies = load_policies(context, &npolicies);

	for (uint32 first = 0, end; first < npolicies; first = end)
	{
		TimestampTz next;

		for (end = first + 1; end < npolicies; end++)
		{
			if (policies[end].relid != policies[first].relid)
				break;
		}
		next = try_relation(policies, npolicies, first, end, now, context);
		due = Min(due, next);
	}
	if (npolicies > 0)
		retention_queue_add(MyDatabaseId, due);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* Has the extension, whose SQL objects may be older than the library, tables for policies? */
static bool
has_tables(void)
{
	Oid			schema = get_namespace_oid("historian", true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid("retention", schema)) &&
		OidIsValid(get_relname_relid("retention_run", schema));
}

/*
 * Returns the policies, those of one relation together, in the context.  Deletes those of relations
 * that are gone.
 */
static Policy *
load_policies(MemoryContext context, uint32 *npolicies)
{
	Policy	   *policies = NULL;

	*npolicies = 0;
	begin_transaction();
	if (has_tables())
	{
		SPI_connect();
		SPI_execute("DELETE FROM historian.retention AS p"
					" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = p.relid)",
					false, 0);
		SPI_execute("SELECT relid::pg_catalog.oid, tag_prefix, keep, last_run, cutoff,"
					" last_error IS NOT NULL"
					" FROM historian.retention LEFT JOIN historian.retention_run"
					" USING (relid, tag_prefix) ORDER BY relid, tag_prefix", false, 0);
		policies = MemoryContextAlloc(context, Max(SPI_processed, 1) * sizeof(Policy));
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			Policy	   *policy = &policies[(*npolicies)++];
			Datum		values[6];
			bool		isnull[6];
			MemoryContext caller;

			heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, isnull);
			caller = MemoryContextSwitchTo(context);
			policy->relid = DatumGetObjectId(values[0]);
			policy->prefix = DatumGetTextPCopy(values[1]);
			policy->keep = *DatumGetIntervalP(values[2]);
			policy->has_run = !isnull[3];
			policy->last_run = isnull[3] ? 0 : DatumGetTimestampTz(values[3]);
			policy->cutoff = isnull[4] ? PG_INT64_MIN : DatumGetInt64(values[4]);
			policy->failed = DatumGetBool(values[5]);
			policy->period = policy_period(&policy->keep);
			MemoryContextSwitchTo(caller);
		}
		SPI_finish();
	}
	end_transaction(context);
	return policies;
}

/* About how long is the interval, in microseconds?  A month counts as 30 days. */
static double
interval_usec(const Interval *keep)
{
	double		days = keep->month * (double) DAYS_PER_MONTH + keep->day;

	return days * USECS_PER_DAY + keep->time;
}

/* The microseconds from one run of a policy to the next. */
static int64
policy_period(const Interval *keep)
{
	double		usec = interval_usec(keep) / HOURS_PER_DAY;

	if (usec >= LONGEST_PERIOD)
		return LONGEST_PERIOD;
	return Max((int64) usec, SHORTEST_PERIOD);
}

/* When is the policy due?  A last run in the future was made by a clock that was wrong. */
static TimestampTz
policy_due(const Policy *policy, TimestampTz now)
{
	if (!policy->has_run || policy->last_run > now)
		return now;
	return policy->last_run + (policy->failed ? Min(policy->period, RETRY_PERIOD) : policy->period);
}

/*
 * Keeps the policies first .. end - 1, which are of one relation, if any is due.  Logs and notes an
 * error instead of raising it.  Returns when to come again.
 */
static TimestampTz
try_relation(Policy *policies, uint32 npolicies, uint32 first, uint32 end, TimestampTz now,
			 MemoryContext context)
{
	volatile TimestampTz due = DT_NOEND;
	bool		any = false;
	Round		round = {
		.relid = policies[first].relid,
		.policies = &policies[first],
		.rules = palloc0(sizeof(ExpiryRule) * (end - first)),
		.nrules = end - first,
	};

	for (uint32 i = first; i < end; i++)
	{
		Policy	   *policy = &policies[i];
		TimestampTz next = policy_due(policy, now);

		policy->due = next <= now;
		any |= policy->due;
		if (policy->due)
			next = now + policy->period;
		due = Min(due, next);
		round.rules[i - first].prefix = policy->prefix;
		round.rules[i - first].until = PG_INT64_MIN;
	}
	if (!any)
		return due;

	PG_TRY();
	{
		keep_relation(&round, policies, npolicies, now);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		HOLD_INTERRUPTS();
		EmitErrorReport();
		error = CopyErrorData();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
		MemoryContextSwitchTo(context);

		begin_transaction();
		for (uint32 i = 0; i < round.nrules; i++)
		{
			round.rules[i].rows = 0;
			round.rules[i].bytes = 0;
			round.policies[i].cutoff = PG_INT64_MIN;
		}
		note(&round, true, error->message);
		end_transaction(context);
		due = Min(due, now + RETRY_PERIOD);
	}
	PG_END_TRY();
	return round.interrupted ? now : due;
}

/* Keeps the policies of one relation, in transactions of bounded size. */
static void
keep_relation(Round *round, const Policy *all, uint32 nall, TimestampTz now)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *tables;
	int64		newest;
	ListCell   *cell;

	begin_transaction();
	MemoryContextSwitchTo(context);
	tables = governed_tables(round, all, nall);
	newest = newest_row(tables, time_to_ns(now));
	set_cutoffs(round, now, newest);
	end_transaction(context);

	foreach(cell, tables)
		expire_table(round, lfirst_oid(cell));
	if (round->interrupted)
		return;
	begin_transaction();
	note(round, true,
		 round->passed_over == NULL ? NULL
		 : psprintf("partition \"%s\" is not a historian table", round->passed_over));
	end_transaction(context);
}

/*
 * Returns the historian tables that a relation's policies concern: itself, or its leaves but for
 * those with nearer policies.  The newest come first, as they probably have the newest row.
 */
static List *
governed_tables(Round *round, const Policy *all, uint32 nall)
{
	List	   *oids;
	List	   *tables = NIL;
	ListCell   *cell;

	if (get_rel_relkind(round->relid) == RELKIND_PARTITIONED_TABLE)
		oids = find_all_inheritors(round->relid, NoLock, NULL);
	else
		oids = list_make1_oid(round->relid);
	foreach(cell, oids)
	{
		Oid			table = lfirst_oid(cell);
		Relation	rel;

		if (get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE ||
			!is_governed(table, round->relid, all, nall))
			continue;
		rel = open_without_waiting(table, AccessShareLock);
		if (rel == NULL)
		{
			round->interrupted = true;
			continue;
		}
		if (historian_table_is(rel))
			tables = lcons_oid(table, tables);
		else
			round->passed_over = pstrdup(RelationGetRelationName(rel));
		relation_close(rel, NoLock);
	}
	return tables;
}

/* Is relid the table itself, or the nearest of its parents that has policies? */
static bool
is_governed(Oid table, Oid relid, const Policy *all, uint32 nall)
{
	List	   *above;
	ListCell   *cell;

	if (table == relid)
		return true;
	above = lcons_oid(table, get_partition_ancestors(table));
	foreach(cell, above)
	{
		for (uint32 i = 0; i < nall; i++)
		{
			if (all[i].relid == lfirst_oid(cell))
				return all[i].relid == relid;
		}
	}
	return false;
}

/* The time of the newest row of some tables, or any that is late enough; PG_INT64_MIN: no row. */
static int64
newest_row(List *tables, int64 enough)
{
	int64		newest = PG_INT64_MIN;
	ListCell   *cell;

	foreach(cell, tables)
	{
		Relation	rel = open_without_waiting(lfirst_oid(cell), AccessShareLock);

		if (rel == NULL)
			continue;
		if (historian_table_is(rel) && OidIsValid(directory_oid(rel)))
		{
			int64		time = newest_row_of(rel, enough);

			newest = Max(newest, time);
		}
		relation_close(rel, NoLock);
		if (newest >= enough)
			break;
	}
	return newest;
}

static int64
newest_row_of(Relation rel, int64 enough)
{
	Snapshot	snapshot = GetActiveSnapshot();
	Leaf		leaf = {.rel = rel, .cursor = directory_begin(rel, snapshot)};
	Leaves		leaves = {.snapshot = snapshot, .nleaves = 1, .leaves = &leaf};
	AsOfReader *reader = as_of_begin(&leaves);
	int64		newest = PG_INT64_MIN;
	text	   *tag = directory_next_tag(leaf.cursor, NULL);

	while (tag != NULL && newest < enough)
	{
		text	   *former = tag;
		bool		changed;

		CHECK_FOR_INTERRUPTS();
		as_of_start(reader, tag, PG_INT64_MAX);
		if (as_of_seek(reader, PG_INT64_MAX, &changed))
			newest = Max(newest, as_of_time(reader));
		tag = directory_next_tag(leaf.cursor, tag);
		pfree(former);
	}
	as_of_end(reader);
	directory_end(leaf.cursor);
	return newest;
}

/* Opens a relation, or returns NULL if another session has, or waits for, a lock that conflicts. */
static Relation
open_without_waiting(Oid relid, LOCKMODE lockmode)
{
	Relation	rel;

	if (!ConditionalLockRelationOid(relid, lockmode))
		return NULL;
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		UnlockRelationOid(relid, lockmode);
	return rel;
}

/* Sets up to when rows expire, by the policies that are due. */
static void
set_cutoffs(Round *round, TimestampTz now, int64 newest)
{
	TimestampTz reference = Min(now, time_from_ns(newest));

	for (uint32 i = 0; i < round->nrules; i++)
	{
		Policy	   *policy = &round->policies[i];
		TimestampTz begin;
		int64		cutoff;
		int64		limit;

		if (!policy->due || newest == PG_INT64_MIN || interval_usec(&policy->keep) >= LONGEST_KEPT)
			continue;
		begin = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
														TimestampTzGetDatum(reference),
														IntervalPGetDatum(&policy->keep)));
		cutoff = time_to_ns(begin);
		if (policy->cutoff > PG_INT64_MIN &&
			!pg_add_s64_overflow(policy->cutoff, 2 * policy->period * 1000, &limit))
			cutoff = Min(cutoff, limit);
		policy->cutoff = Max(policy->cutoff, cutoff);
		if (policy->cutoff > PG_INT64_MIN)
			round->rules[i].until = policy->cutoff - 1;
	}
}

/* Removes what has expired from one table. */
static void
expire_table(Round *round, Oid table)
{
	MemoryContext context = CurrentMemoryContext;
	text	   *after = NULL;

	do
	{
		Relation	rel;
		text	   *last = after;

		CHECK_FOR_INTERRUPTS();
		if (++round->transactions > MAX_TRANSACTIONS_PER_ROUND)
		{
			round->interrupted = true;
			return;
		}
		begin_transaction();
		after = NULL;
		rel = open_without_waiting(table, RowExclusiveLock);
		if (rel == NULL)
			round->interrupted = true;
		else
		{
			if (historian_table_is(rel) && OidIsValid(directory_oid(rel)))
			{
				MemoryContext caller;

				if (!deletion_expire(rel, round->rules, round->nrules,
									 MAX_SEGMENTS_PER_TRANSACTION, &last))
				{
					round->interrupted = true;
					last = NULL;
				}
				caller = MemoryContextSwitchTo(context);
				after = last != NULL ? DatumGetTextPCopy(PointerGetDatum(last)) : NULL;
				MemoryContextSwitchTo(caller);
			}
			relation_close(rel, NoLock);
		}
		note(round, false, NULL);
		end_transaction(context);
	} while (after != NULL);
}

/*
 * Notes in historian.retention_run what the rules have removed since the last note, and, if the
 * round is done, when it was and up to where, and its error if there was one.
 */
static void
note(Round *round, bool done, const char *error)
{
	TimestampTz now = GetCurrentTimestamp();

	for (uint32 i = 0; i < round->nrules; i++)
	{
		const Policy *policy = &round->policies[i];
		ExpiryRule *rule = &round->rules[i];
		Oid			types[] = {OIDOID, TEXTOID, INT8OID, INT8OID, BOOLOID, INT8OID, TEXTOID,
		TIMESTAMPTZOID};
		Datum		values[] = {
			ObjectIdGetDatum(round->relid),
			PointerGetDatum(policy->prefix),
			Int64GetDatum(rule->rows),
			Int64GetDatum(rule->bytes),
			BoolGetDatum(done),
			Int64GetDatum(policy->cutoff),
			error != NULL ? CStringGetTextDatum(error) : (Datum) 0,
			TimestampTzGetDatum(now),
		};
		char		nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', '\0'};

		if (!policy->due || (!done && rule->rows == 0))
			continue;
		if (!done || policy->cutoff == PG_INT64_MIN)
			nulls[5] = 'n';
		if (error == NULL)
			nulls[6] = 'n';
		SPI_connect();
		/* of a policy that was removed meanwhile nothing is noted */
		SPI_execute_with_args("INSERT INTO historian.retention_run AS r (relid, tag_prefix,"
							  " rows_removed, bytes_removed, last_run, cutoff, last_error)"
							  " SELECT relid, tag_prefix, $3, $4, CASE WHEN $5 THEN $8 END, $6, $7"
							  " FROM historian.retention WHERE relid = $1 AND tag_prefix = $2"
							  " FOR KEY SHARE"
							  " ON CONFLICT (relid, tag_prefix) DO UPDATE SET"
							  " rows_removed = r.rows_removed + $3,"
							  " bytes_removed = r.bytes_removed + $4,"
							  " last_run = CASE WHEN $5 THEN $8 ELSE r.last_run END,"
							  " cutoff = coalesce($6, r.cutoff),"
							  " last_error = CASE WHEN $5 THEN $7 ELSE r.last_error END",
							  lengthof(types), types, values, nulls, false, 0);
		SPI_finish();
		rule->rows = 0;
		rule->bytes = 0;
	}
}

static void
begin_transaction(void)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "historian: retention");
}

/* Commits, and goes back to the context of the caller. */
static void
end_transaction(MemoryContext context)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Nanoseconds since 1970, cut off at what int64 holds. */
static int64
time_to_ns(TimestampTz time)
{
	int64		usec;
	int64		ns;

	if (pg_sub_s64_overflow(time, UNIX_EPOCH_USEC, &usec) || pg_mul_s64_overflow(usec, 1000, &ns))
		return time < 0 ? PG_INT64_MIN : PG_INT64_MAX;
	return ns;
}

/* The timestamptz of nanoseconds since 1970, rounded down. */
static TimestampTz
time_from_ns(int64 ns)
{
	return ns / 1000 - (ns % 1000 < 0) + UNIX_EPOCH_USEC;
}
