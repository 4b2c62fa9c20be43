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
#include "utils/memutils.h"

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
	qsort(emptied->blocks, n, sizeof(BlockNumber), compare_blocks);
	first = emptied->blocks[0];
	last = emptied->blocks[n - 1];
	for (uint32 i = 0; i < n; i++)
	{
		BlockNumber block = emptied->blocks[i];
		bool		waits;
		Buffer		buffer;
		Size		room;

		if (block >= end)
			break;
		if (former == block)
			continue;
		former = block;
		CHECK_FOR_INTERRUPTS();
		buffer = ReadBuffer(rel, block);
		heap_page_prune_opt(rel, buffer);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		room = PageGetHeapFreeSpace(BufferGetPage(buffer));
		waits = TransactionIdIsValid(((PageHeader) BufferGetPage(buffer))->pd_prune_xid);
		UnlockReleaseBuffer(buffer);
		RecordPageWithFreeSpace(rel, block, room);
		if (waits)
			emptied->blocks[kept++] = block;
	}
	FreeSpaceMapVacuumRange(rel, first, last + 1);
	emptied->nblocks = kept;
}

static int
compare_blocks(const void *left, const void *right)
{
	BlockNumber a = *(const BlockNumber *) left;
	BlockNumber b = *(const BlockNumber *) right;

	return a < b ? -1 : a > b;
}
