/*
 * compat.h
 *	  What differs between the supported PostgreSQL versions (15, 17 and 18).
 *
 * The only place that tests PG_VERSION_NUM.  Each difference gets a name that says what it is
 * for, so that the callers read the same on every version.
 */
#ifndef HISTORIAN_COMPAT_H
#define HISTORIAN_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "access/hio.h"
#include "access/multixact.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/twophase.h"
#include "access/visibilitymap.h"
#include "catalog/index.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/paths.h"
#include "pgstat.h"
#include "replication/message.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "utils/acl.h"
#include "utils/tuplesort.h"

#if PG_VERSION_NUM < 150000
#error "historian needs PostgreSQL 15 or later"
#endif

/*
 * PostgreSQL 18 has pg_noreturn before a declaration, where earlier versions have an attribute
 * after it.
 */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* ExplainPropertyText() and its kind have a header of their own since 18. */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#endif

/* VARDATA_ANY() and its kind have a header of their own since 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* What a query may do with a relation is in a node of its own since 16 (RTEPermissionInfo). */
#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"
#endif
static inline void
historian_require_select(Query *query, RangeTblEntry *entry)
{
#if PG_VERSION_NUM >= 160000
	addRTEPermissionInfo(&query->rteperminfos, entry)->requiredPerms = ACL_SELECT;
#else
	(void) query;
	entry->requiredPerms = ACL_SELECT;
#endif
}

/* Physical identity of a relation: RelFileNode became RelFileLocator in 16. */
#if PG_VERSION_NUM >= 160000
#include "storage/relfilelocator.h"
typedef RelFileLocator HistorianFileId;
#define HISTORIAN_SET_NEW_FILE relation_set_new_filelocator
#define historian_rel_file(rel) ((rel)->rd_locator)
typedef TU_UpdateIndexes HistorianUpdateIndexes;
#define HISTORIAN_UPDATE_NO_INDEXES TU_None
#else
#include "storage/relfilenode.h"
typedef RelFileNode HistorianFileId;
#define HISTORIAN_SET_NEW_FILE relation_set_new_filenode
#define historian_rel_file(rel) ((rel)->rd_node)
typedef bool HistorianUpdateIndexes;
#define HISTORIAN_UPDATE_NO_INDEXES false
#endif

/* ANALYZE hands over a stream of blocks since 17. */
#if PG_VERSION_NUM >= 170000
#include "storage/read_stream.h"
#define HISTORIAN_ANALYZE_BY_STREAM 1
#else
#define HISTORIAN_ANALYZE_BY_STREAM 0
#endif

/* A parallel scan identifies its table by OID, and since 18 by file. */
static inline void
historian_parallel_set_relation(ParallelTableScanDesc parallel, Relation rel)
{
#if PG_VERSION_NUM >= 180000
	parallel->phs_locator = rel->rd_locator;
#else
	parallel->phs_relid = RelationGetRelid(rel);
#endif
}

/* Finds a page with room for len bytes; the function gained a count of extra pages in 16. */
static inline Buffer
historian_buffer_for_tuple(Relation rel, Size len, int options,
						   struct BulkInsertStateData *bistate, Buffer *vmbuffer)
{
#if PG_VERSION_NUM >= 160000
	return RelationGetBufferForTuple(rel, len, InvalidBuffer, options, bistate, vmbuffer, NULL, 0);
#else
	return RelationGetBufferForTuple(rel, len, InvalidBuffer, options, bistate, vmbuffer, NULL);
#endif
}

/* index_beginscan() gained instrumentation in 18. */
static inline IndexScanDesc
historian_index_beginscan(Relation heap, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(heap, index, snapshot, nkeys, 0);
#endif
}

/*
 * Returns the next sorted datum, which is by value; tuplesort_getdatum() gained an argument in 16.
 */
static inline bool
historian_next_datum(Tuplesortstate *sort, Datum *value, bool *isnull)
{
#if PG_VERSION_NUM >= 160000
	return tuplesort_getdatum(sort, true, false, value, isnull, NULL);
#else
	return tuplesort_getdatum(sort, true, value, isnull, NULL);
#endif
}

/* A partial btree on ncolumns plain columns; makeIndexInfo() gained an argument in 16 and in 18. */
static inline IndexInfo *
historian_index_info(int ncolumns, Oid access_method, List *predicate)
{
#if PG_VERSION_NUM >= 180000
	return makeIndexInfo(ncolumns, ncolumns, access_method, NIL, predicate, false, false, true,
						 false, false, false);
#elif PG_VERSION_NUM >= 160000
	return makeIndexInfo(ncolumns, ncolumns, access_method, NIL, predicate, false, false, true,
						 false, false);
#else
	return makeIndexInfo(ncolumns, ncolumns, access_method, NIL, predicate, false, false, true,
						 false);
#endif
}

/* Calls index_create() without operator class options and statistics targets. */
static inline Oid
historian_index_create(Relation heap, const char *name, IndexInfo *info, List *column_names,
					   Oid access_method, Oid *collations, Oid *opclasses, int16 *options,
					   bool is_internal)
{
#if PG_VERSION_NUM >= 170000
	return index_create(heap, name, InvalidOid, InvalidOid, InvalidOid, InvalidRelFileNumber, info,
						column_names, access_method, heap->rd_rel->reltablespace, collations,
						opclasses, NULL, options, NULL, (Datum) 0, 0, 0, false, is_internal, NULL);
#elif PG_VERSION_NUM >= 160000
	return index_create(heap, name, InvalidOid, InvalidOid, InvalidOid, InvalidRelFileNumber, info,
						column_names, access_method, heap->rd_rel->reltablespace, collations,
						opclasses, options, (Datum) 0, 0, 0, false, is_internal, NULL);
#else
	return index_create(heap, name, InvalidOid, InvalidOid, InvalidOid, InvalidOid, info,
						column_names, access_method, heap->rd_rel->reltablespace, collations,
						opclasses, options, (Datum) 0, 0, 0, false, is_internal, NULL);
#endif
}

/* Parameters of VACUUM, as the callback gets them. */
typedef struct VacuumParams *HistorianVacuumParams;

/* Sets the table's pages and rows in pg_class; its freeze horizons stay as they are. */
static inline void
historian_update_relstats(Relation rel, BlockNumber pages, double rows)
{
	BlockNumber all_visible = 0;
	BlockNumber all_frozen = 0;

	visibilitymap_count(rel, &all_visible, &all_frozen);
#if PG_VERSION_NUM >= 180000
	vac_update_relstats(rel, pages, rows, all_visible, all_frozen, true, InvalidTransactionId,
						InvalidMultiXactId, NULL, NULL, false);
#else
	vac_update_relstats(rel, pages, rows, all_visible, true, InvalidTransactionId,
						InvalidMultiXactId, NULL, NULL, false);
#endif
}

/* Counts an updated row: the row is still live, and its old version is dead. */
static inline void
historian_count_moved_row(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	pgstat_count_heap_update(rel, false, false);
#else
	pgstat_count_heap_update(rel, false);
#endif
}

/*
 * Returns the ID of a transaction that GetLockConflicts() has named, if it may load rows.  Returns
 * InvalidTransactionId if it has no ID yet, has ended, or is a VACUUM, which locks tables but loads
 * nothing.
 */
static inline TransactionId
historian_loader_xid(VirtualTransactionId vxid)
{
	TransactionId xid;
	PGPROC	   *proc;
	bool		more;

#if PG_VERSION_NUM >= 170000
	if (vxid.procNumber == INVALID_PROC_NUMBER)
		return vxid.localTransactionId;
	proc = ProcNumberGetProc(vxid.procNumber);
	if (proc != NULL && proc->vxid.lxid == vxid.localTransactionId)
#else
	if (vxid.backendId == InvalidBackendId)
		return vxid.localTransactionId;
	proc = BackendIdGetProc(vxid.backendId);
	if (proc != NULL && proc->lxid == vxid.localTransactionId)
#endif
		return (proc->statusFlags & PROC_IN_VACUUM) != 0 ? InvalidTransactionId : proc->xid;

	/*
	 * The transaction is prepared, and its backend does something else now.  Where the backend has
	 * prepared several, any of them may be meant, so the lowest ID of all is assumed.
	 */
	xid = TwoPhaseGetXidByVirtualXID(vxid, &more);
	return more ? FirstNormalTransactionId : xid;
}

/* Does the user own the table? */
static inline bool
historian_is_owner(Oid relid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, GetUserId());
#else
	return pg_class_ownercheck(relid, GetUserId());
#endif
}

/*
 * Returns the pathkeys for the order of an expression by this operator, or NIL if that order
 * is of no use to the query.
 */
static inline List *
historian_pathkeys(PlannerInfo *root, Expr *expr, Oid operator, RelOptInfo *rel)
{
#if PG_VERSION_NUM >= 160000
	return build_expression_pathkey(root, expr, operator, rel->relids, false);
#else
	return build_expression_pathkey(root, expr, NULL, operator, rel->relids, false);
#endif
}

/* The btree strategy of a comparison of rows. */
static inline int
historian_row_strategy(const RowCompareExpr * comparison)
{
#if PG_VERSION_NUM >= 180000
	return (int) comparison->cmptype;
#else
	return (int) comparison->rctype;
#endif
}

/*
 * Returns the expression under a placeholder that no outer join sets to NULL, or the node itself.
 * Before 16, a placeholder does not tell; there the expression is set to NULL as its columns are.
 */
static inline const Node *
historian_without_placeholder(const Node *node)
{
	const		PlaceHolderVar *placeholder = (const PlaceHolderVar *) node;

	if (!IsA(node, PlaceHolderVar) || placeholder->phlevelsup != 0)
		return node;
#if PG_VERSION_NUM >= 160000
	if (!bms_is_empty(placeholder->phnullingrels))
		return node;
#endif
	return (const Node *) placeholder->phexpr;
}

/* Writes a logical message, which the caller flushes if it wants to; 17 can flush by itself. */
static inline XLogRecPtr
historian_log_message(const char *prefix, const char *message, size_t size, bool transactional)
{
#if PG_VERSION_NUM >= 170000
	return LogLogicalMessage(prefix, message, size, transactional, false);
#else
	return LogLogicalMessage(prefix, message, size, transactional);
#endif
}

#endif							/* HISTORIAN_COMPAT_H */
