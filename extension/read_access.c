/*
 * read_access.c
 *	  What SQL functions that read a historian table have in common.
 */
#include "postgres.h"

#include "read_access.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "access_method.h"
#include "command_work.h"
#include "serializable.h"

Relation
read_access_open(Oid relid)
{
	Relation	rel = historian_table_open(relid, ACL_SELECT, AccessShareLock);

	if (check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("row-level security is in force on historian table \"%s\"",
					   RelationGetRelationName(rel)),
				errhint("Use SELECT, which applies the policies, instead of this function."));

	command_work_before_read(rel, GetActiveSnapshot());

	serializable_note_read(rel, GetActiveSnapshot());
	return rel;
}
