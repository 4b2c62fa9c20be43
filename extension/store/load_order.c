/*
 * load_order.c
 *	  The order of all loads: of two rows with one tag and time the later load's stays.
 *
 * A sequence number is the end of a WAL record that is written for it, an empty one: no other load
 * has the same, and no crash, promotion or clock turns the numbers back.  A segment never outlives
 * a loss of WAL that takes its number back, as its own record or its transaction's commit comes
 * later.  So all loads are in one order, that of their writing, wherever their segments lie.
 */
#include "postgres.h"

#include "store/load_order.h"

#include "access/rmgr.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/pg_control.h"

uint64
load_order_next(void)
{
	char		filler = 0;

	/* the position alone would be the same for all who look before one of them writes */
	XLogBeginInsert();
	XLogRegisterData(&filler, sizeof(filler));
	return XLogInsert(RM_XLOG_ID, XLOG_NOOP);
}

uint64
load_order_bound(void)
{
	return GetXLogInsertRecPtr() + 1;
}
