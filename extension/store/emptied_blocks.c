/*
 * emptied_blocks.c
 *	  The blocks from which a merge has deleted segments, so that others can be written there soon.
 */
#include "postgres.h"

#include "store/emptied_blocks.h"

#include "access/heapam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "storage/procarray.h"
#include "utils/memutils.h"

static Size prune(Relation rel, BlockNumber block, bool *waits);
static int	compare_blocks(const void *left, const void *right);

void
emptied_blocks_add(EmptiedBlocks *emptied, BlockNumber block)
{
	if (emptied == NULL ||
		(emptied->nblocks > 0 && emptied->blocks[emptied->nblocks - 1] == block))
		return;
	if (emptied->nblocks == emptied->capacity)
	{
		emptied->capacity = Max(256, emptied->capacity * 2);
		emptied->blocks = emptied->blocks == NULL
			? MemoryContextAlloc(emptied->context, emptied->capacity * sizeof(BlockNumber))
			: repalloc_huge(emptied->blocks, emptied->capacity * sizeof(BlockNumber));
	}
	emptied->blocks[emptied->nblocks++] = block;
}

void
emptied_blocks_reuse(EmptiedBlocks *emptied, Relation rel)
{
	BlockNumber end = RelationGetNumberOfBlocks(rel);
	uint32		n = emptied->nblocks;
	uint32		kept = 0;
	BlockNumber first;
	BlockNumber last;
	BlockNumber former = InvalidBlockNumber;

	if (n == 0)
		return;

	/*
	 * PostgreSQL looks again for who may see what is deleted only when transactions have begun or
	 * ended since it last did, and does not notice that a reader has ended.  This makes it look.
	 */
	(void) GetOldestNonRemovableTransactionId(rel);
	qsort(emptied->blocks, n, sizeof(BlockNumber), compare_blocks);
	first = emptied->blocks[0];
	last = emptied->blocks[n - 1];
	for (uint32 i = 0; i < n; i++)
	{
		BlockNumber block = emptied->blocks[i];
		bool		waits;
		Size		room;

		if (block >= end)
			break;
		if (former == block)
			continue;
		former = block;
		CHECK_FOR_INTERRUPTS();
		room = prune(rel, block, &waits);
		RecordPageWithFreeSpace(rel, block, room);
		if (waits)
			emptied->blocks[kept++] = block;
	}
	FreeSpaceMapVacuumRange(rel, first, last + 1);
	emptied->nblocks = kept;
}

/* Prunes a block and returns its room.  Sets *waits if a snapshot may see what is deleted there. */
static Size
prune(Relation rel, BlockNumber block, bool *waits)
{
	Buffer		buffer = ReadBuffer(rel, block);
	Page		page = BufferGetPage(buffer);
	Size		room;

	/*
	 * PostgreSQL prunes no page that has a tenth of its room, as it has enough for a row.  A page
	 * of which half is deleted has none for a segment, though, so say that it is full.
	 */
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (TransactionIdIsValid(((PageHeader) page)->pd_prune_xid))
		PageSetFull(page);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	heap_page_prune_opt(rel, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	room = PageGetHeapFreeSpace(page);
	*waits = TransactionIdIsValid(((PageHeader) page)->pd_prune_xid);
	UnlockReleaseBuffer(buffer);
	return room;
}

static int
compare_blocks(const void *left, const void *right)
{
	BlockNumber a = *(const BlockNumber *) left;
	BlockNumber b = *(const BlockNumber *) right;

	return a < b ? -1 : a > b;
}
