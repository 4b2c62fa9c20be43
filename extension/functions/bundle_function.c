/*
 * bundle_function.c
 *	  Rows that come in bundles: the trigger of the view historian.bundle, and which tables take them.
 *
 * COPY into a table does more than to store rows: it checks constraints and privileges, fires
 * triggers, and finds partitions.  A bundle goes past all this to the table.  So a table takes
 * bundles only if COPY would do nothing for its rows but to store them, and if the user might COPY
 * into it.  historiand asks with historian.bundle_hindrance() before each load.  The trigger looks
 * again for each bundle, under the lock that COPY takes, because the table may have changed since.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "historian_table.h"
#include "write/bundle.h"
#include "write/writer.h"

PG_FUNCTION_INFO_V1(historian_bundle_hindrance);
PG_FUNCTION_INFO_V1(historian_insert_bundle);

/* So many entries are handed on together, or fewer if their tags take as many bytes.  They are on the stack. */
#define ENTRIES_AT_ONCE 256
#define TAG_BYTES_AT_ONCE (8 * 1024)

/* The columns of the view. */
#define COLUMN_TABLE 1
#define COLUMN_ROWS 2
#define NCOLUMNS 2

/* The bundle that is being stored, for the context of an error. */
typedef struct BundleProgress
{
	Relation	rel;
	const BundleReader *reader;
} BundleProgress;

static AclResult check_insert_privilege(Oid relid);
static const char *find_hindrance(Relation rel);
static bool has_insert_trigger(const TriggerDesc *triggers);
static void check_trigger_call(FunctionCallInfo fcinfo);
static void check_table(Relation rel);
static void store_bundle(Relation rel, const bytea * bundle);
static void append_entries(Relation rel, BundleReader *reader);
static void add_context(void *argument);

/* historian.bundle_hindrance(table regclass) */
Datum
historian_bundle_hindrance(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel;
	const char *hindrance;

	if (check_insert_privilege(relid) != ACLCHECK_OK)
		PG_RETURN_TEXT_P(cstring_to_text("the user may not insert into it"));
	rel = relation_open(relid, AccessShareLock);
	hindrance = find_hindrance(rel);
	relation_close(rel, AccessShareLock);
	if (hindrance == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(hindrance));
}

/* The trigger INSTEAD OF INSERT of the view historian.bundle */
Datum
historian_insert_bundle(PG_FUNCTION_ARGS)
{
	const		TriggerData *trigger = (const TriggerData *) fcinfo->context;
	TupleDesc	desc;
	Datum		datum[NCOLUMNS];
	bool		isnull[NCOLUMNS];
	bytea	   *empty;
	Relation	rel;
	AclResult	access;
	Oid			relid;

	check_trigger_call(fcinfo);
	desc = RelationGetDescr(trigger->tg_relation);
	for (int i = 0; i < NCOLUMNS; i++)
	{
		datum[i] = heap_getattr(trigger->tg_trigtuple, i + 1, desc, &isnull[i]);
		if (isnull[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("null value in column \"%s\" of view \"%s\" is not allowed",
						   NameStr(TupleDescAttr(desc, i)->attname),
						   RelationGetRelationName(trigger->tg_relation)));
	}
	relid = DatumGetObjectId(datum[COLUMN_TABLE - 1]);
	access = check_insert_privilege(relid);
	if (access != ACLCHECK_OK)
		aclcheck_error(access, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	rel = relation_open(relid, RowExclusiveLock);
	check_table(rel);
	store_bundle(rel, DatumGetByteaP(datum[COLUMN_ROWS - 1]));
	relation_close(rel, NoLock);

	/*
	 * A tuple other than the given one, so that PostgreSQL frees that: else the bytes of all
	 * bundles of a COPY would stay in memory until it ends.
	 */
	empty = palloc(VARHDRSZ);
	SET_VARSIZE(empty, VARHDRSZ);
	datum[COLUMN_ROWS - 1] = PointerGetDatum(empty);
	PG_RETURN_POINTER(heap_form_tuple(desc, datum, isnull));
}

/* May the user COPY into all columns of the table?  Raises an error if there is no such table. */
static AclResult
check_insert_privilege(Oid relid)
{
	if (pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) == ACLCHECK_OK)
		return ACLCHECK_OK;
	return pg_attribute_aclcheck_all(relid, GetUserId(), ACL_INSERT, ACLMASK_ALL);
}

/* Returns why COPY must be used for the table's rows, or NULL if it takes bundles. */
static const char *
find_hindrance(Relation rel)
{
	const TupleConstr *constraints;

#ifdef WORDS_BIGENDIAN
	return "the processor is big-endian";
#endif
	if (GetDatabaseEncoding() != PG_UTF8)
		return "the encoding of the database is not UTF8";
	/* COPY into the view would succeed without its trigger, and the rows would be lost */
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		return "session_replication_role is replica";
	if (rel->rd_rel->relkind != RELKIND_RELATION || !historian_table_is(rel))
		return "it is not a historian table";
	if (rel->rd_rel->relispartition)
		return "it is a partition";
	if (has_insert_trigger(rel->trigdesc))
		return "it has a trigger for INSERT";
	if (rel->rd_rules != NULL)
		return "it has a rule";
	/* the policies themselves are COPY's to refuse */
	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, true) == RLS_ENABLED)
		return "row-level security is in force";
	constraints = RelationGetDescr(rel)->constr;
	if (constraints != NULL && constraints->num_check > 0)
		return "it has a CHECK constraint";
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), i);

		if (attribute->attgenerated != '\0' || attribute->attidentity != '\0')
			return "it has a column that is generated";
	}
	return NULL;
}

static bool
has_insert_trigger(const TriggerDesc *triggers)
{
	return triggers != NULL &&
		(triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
		 triggers->trig_insert_instead_row || triggers->trig_insert_before_statement ||
		 triggers->trig_insert_after_statement);
}

/* Raises an error unless the function is called as a trigger of a view with the right columns. */
static void
check_trigger_call(FunctionCallInfo fcinfo)
{
	const		TriggerData *trigger = (const TriggerData *) fcinfo->context;
	TupleDesc	desc;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_INSTEAD(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" is a trigger INSTEAD OF INSERT", "historian.insert_bundle"));
	desc = RelationGetDescr(trigger->tg_relation);
	if (desc->natts != NCOLUMNS ||
		TupleDescAttr(desc, COLUMN_TABLE - 1)->atttypid != REGCLASSOID ||
		TupleDescAttr(desc, COLUMN_ROWS - 1)->atttypid != BYTEAOID)
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("view \"%s\" has other columns than the trigger needs",
					   RelationGetRelationName(trigger->tg_relation)),
				errdetail("The trigger needs a regclass and a bytea."));
}

static void
check_table(Relation rel)
{
	const char *hindrance = find_hindrance(rel);

	if (hindrance != NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("relation \"%s\" does not take bundles: %s", RelationGetRelationName(rel),
					   hindrance),
				errhint("Use COPY into it."));
}

static void
store_bundle(Relation rel, const bytea * bundle)
{
	const char *bytes = VARDATA(bundle);
	Size		length = VARSIZE(bundle) - VARHDRSZ;
	BundleReader reader;
	BundleProgress progress = {rel, &reader};
	ErrorContextCallback context = {
		.previous = error_context_stack,
		.callback = add_context,
		.arg = &progress,
	};

	if ((uintptr_t) bytes % sizeof(int64) != 0)
		bytes = memcpy(palloc(Max(length, 1)), bytes, length);
	reader.total_rows = reader.nrows = 0;
	error_context_stack = &context;
	if (bundle_open(&reader, bytes, length))
		append_entries(rel, &reader);
	if (reader.error != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				errmsg("invalid bundle: %s", reader.error));
	error_context_stack = context.previous;
}

/*
 * Hands the entries of a bundle to the writer, until its end or an error.  Tags are in two pieces of
 * memory by turns, because the first one of a piece needs the last one of the other.
 */
static void
append_entries(Relation rel, BundleReader *reader)
{
	CommandId	cid = GetCurrentCommandId(true);
	BundleEntry entries[ENTRIES_AT_ONCE];
	char		tags[2][TAG_BYTES_AT_ONCE];
	bool		more = true;

	for (int turn = 0; more; turn ^= 1)
	{
		Size		used = 0;
		uint32		n = 0;

		while (n < ENTRIES_AT_ONCE && used + SEGMENT_MAX_TAG_BYTES <= TAG_BYTES_AT_ONCE &&
			   (more = bundle_next(reader, &entries[n], tags[turn] + used)))
			used += entries[n++].tag_bytes;
		if (reader->error == NULL)
			writer_append_entries(rel, entries, n, cid);
	}
}

/* Says in an error's context where it was. */
static void
add_context(void *argument)
{
	const BundleProgress *progress = argument;
	const BundleReader *reader = progress->reader;

	errcontext("bundle of %u rows for table \"%s\", before row %u", reader->total_rows,
			   RelationGetRelationName(progress->rel), reader->total_rows - reader->nrows + 1);
}
