/*
 * audit.c
 *	  The audit trail: who changed what is stored, as rows of historian.audit.
 *
 * Nobody but the table's owner may insert into it.  The functions that change something do so as
 * that owner, and give the names of the session's user and of the current one, which a user cannot
 * choose.  The setting historian.actor is what a client says of itself: historiand sets it to the
 * name of a token.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "functions/audit.h"
#include "historian_table.h"

PG_FUNCTION_INFO_V1(historian_audit_note);

char	   *historian_actor;

static bool find_owner(Oid *owner);

void
audit_record(const AuditEntry *entry)
{
	enum
	{
		SESSION_USER_NAME, CURRENT_USER_NAME, ACTOR, ACTION, RELID, TABLE_NAME, TAG, FIRST, LAST, ROWS, DETAIL, COLUMNS
	};
	Oid			types[COLUMNS] = {NAMEOID, NAMEOID, TEXTOID, TEXTOID, OIDOID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID, TEXTOID};
	Datum		values[COLUMNS] = {0};
	char		nulls[COLUMNS];
	char	   *name = get_rel_name(entry->relid);
	Oid			owner;
	Oid			user;
	int			context;

	/* unless the caller has a lock, it may be dropped at any time */
	if (name == NULL)
		historian_table_report_missing(entry->relid);
	if (!find_owner(&owner))
		return;
	memset(nulls, ' ', sizeof(nulls));
	values[SESSION_USER_NAME] = DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetSessionUserId(), false)));
	values[CURRENT_USER_NAME] = DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetUserId(), false)));
	if (historian_actor != NULL && historian_actor[0] != '\0')
		values[ACTOR] = CStringGetTextDatum(historian_actor);
	else
		nulls[ACTOR] = 'n';
	values[ACTION] = CStringGetTextDatum(entry->action);
	values[RELID] = ObjectIdGetDatum(entry->relid);
	values[TABLE_NAME] = CStringGetTextDatum(quote_qualified_identifier(get_namespace_name(get_rel_namespace(entry->relid)),
																		name));
	if (entry->tag != NULL)
		values[TAG] = PointerGetDatum(entry->tag);
	else
		nulls[TAG] = 'n';
	values[FIRST] = Int64GetDatum(entry->from);
	values[LAST] = Int64GetDatum(entry->until);
	if (!entry->has_range)
		nulls[FIRST] = nulls[LAST] = 'n';
	values[ROWS] = Int64GetDatum(entry->rows);
	if (entry->rows < 0)
		nulls[ROWS] = 'n';
	if (entry->detail != NULL)
		values[DETAIL] = CStringGetTextDatum(entry->detail);
	else
		nulls[DETAIL] = 'n';

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	SPI_connect();
	SPI_execute_with_args("INSERT INTO historian.audit (session_user_name, user_name, actor, action, relid, table_name, tag,"
						  " first_time, last_time, rows, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
						  COLUMNS, types, values, nulls, false, 0);
	SPI_finish();
	SetUserIdAndSecContext(user, context);
}

/* Finds the owner of historian.audit; false if there is no such table. */
static bool
find_owner(Oid *owner)
{
	Oid			schema = get_namespace_oid("historian", true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid("audit", schema) : InvalidOid;
	HeapTuple	tuple;

	tuple = OidIsValid(relid) ? SearchSysCache1(RELOID, ObjectIdGetDatum(relid)) : NULL;
	if (!HeapTupleIsValid(tuple))
		return false;
	*owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return true;
}

/*
 * historian.audit_note(action text, table regclass, tag text, first_time bigint, last_time bigint,
 * rows bigint, detail text) returns void
 *
 * For functions in other languages than C.  Who may change rows of the table may say that it did.
 */
Datum
historian_audit_note(PG_FUNCTION_ARGS)
{
	AuditEntry	entry = {0};
	Oid			relid;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("action and table must not be null"));
	historian_table_check_may_write("historian.audit_note()");
	relid = PG_GETARG_OID(1);
	if (pg_class_aclmask(relid, GetUserId(), ACL_INSERT | ACL_UPDATE | ACL_DELETE, ACLMASK_ANY) == 0)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	entry.action = text_to_cstring(PG_GETARG_TEXT_PP(0));
	entry.relid = relid;
	entry.tag = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	entry.has_range = !PG_ARGISNULL(3) && !PG_ARGISNULL(4);
	entry.from = entry.has_range ? PG_GETARG_INT64(3) : 0;
	entry.until = entry.has_range ? PG_GETARG_INT64(4) : 0;
	entry.rows = PG_ARGISNULL(5) ? -1 : PG_GETARG_INT64(5);
	entry.detail = PG_ARGISNULL(6) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(6));
	audit_record(&entry);
	PG_RETURN_VOID();
}
