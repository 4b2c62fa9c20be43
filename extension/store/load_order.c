/*
 * load_order.c
 *	  The order of all loads: of two rows with one tag and time the later load's stays.
 *
 * A load's sequence number is the end position of an empty WAL record that is written for it.  So
 * no two loads have the same number, and no crash, promotion or clock turns the numbers back.
 * Where WAL is lost, and its numbers are given again, the segments with these numbers are lost too,
 * because their own records or their transaction's commit come later.  So all loads have one order,
 * that of their writing, wherever their segments are stored.
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

	/*
	 * Without a record of their own, sessions would read the same position until one of them
	 * writes.
	 */
	XLogBeginInsert();
	XLogRegisterData(&filler, sizeof(filler));
	return XLogInsert(RM_XLOG_ID, XLOG_NOOP);
}

uint64
load_order_bound(void)
{
	return GetXLogInsertRecPtr() + 1;
}
