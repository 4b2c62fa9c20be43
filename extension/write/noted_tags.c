/*
 * noted_tags.c
 *	  Finds the tags of the pending segments that compaction has not looked at yet.
 */
#include "postgres.h"

#include "write/noted_tags.h"

#include "access/heapam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "store/compaction_queue.h"
#include "store/store.h"
#include "tag.h"

typedef struct TagList
{
	text	  **tags;
	uint32		ntags;
	uint32		capacity;
} TagList;

/* When to compact the tag of a pending segment. */
typedef enum Look
{
	LOOK_NEVER,					/* it is deleted, or was never committed */
	LOOK_NOW,
	LOOK_LATER,					/* a transaction is changing it, or it is beyond the horizon */
} Look;

static bool read_block(Relation rel, BlockNumber block, TransactionId oldest, uint64 horizon,
					   TagList *list);
static Look when_to_look(HeapTuple tuple, TransactionId oldest, Buffer buffer, uint64 sequence,
						 uint64 horizon);
static void add_tag(TagList *list, const SegmentHeader *header);
static void sort_tags(TagList *list);
static int	compare_tags(const void *left, const void *right);

text **
noted_tags(Relation rel, const CompactionLook *look, uint64 horizon, uint32 *ntags)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	TransactionId oldest = GetOldestNonRemovableTransactionId(rel);
	TagList		list = {.capacity = 64};

	list.tags = palloc_array(text *, list.capacity);
	for (uint32 i = 0; i < look->nblocks; i++)
	{
		NotedBlocks run = look->blocks[i];

		for (BlockNumber block = run.first; block <= run.last && block < nblocks; block++)
		{
			NotedBlocks one = {.first = block, .last = block};

			CHECK_FOR_INTERRUPTS();
			if (!read_block(rel, block, oldest, horizon, &list))
				continue;
			compaction_notes_add(rel, &one, 1);
			compaction_queue_add(MyDatabaseId, 0);
		}
	}
	sort_tags(&list);
	*ntags = list.ntags;
	return list.tags;
}

/*
 * Adds the tags of the block's pending segments to look at now.  Returns whether the block has
 * others to look at later.
 */
static bool
read_block(Relation rel, BlockNumber block, TransactionId oldest, uint64 horizon, TagList *list)
{
	Buffer		buffer = ReadBuffer(rel, block);
	OffsetNumber next = FirstOffsetNumber;
	HeapTupleData tuple;
	SegmentHeader header;
	bool		later = false;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	/* a damaged segment is reported when its tag is read, or by historian.check() */
	while (store_next_segment(rel, buffer, &next, &tuple, &header))
	{
		if (header.flags != 0 && !(header.flags & SEGMENT_RUN_ROOT))
			continue;
		switch (when_to_look(&tuple, oldest, buffer, header.sequence, horizon))
		{
			case LOOK_NOW:
				/* compaction lists all runs by itself */
				if (header.flags == 0)
					add_tag(list, &header);
				break;
			case LOOK_LATER:
				later = true;
				break;
			case LOOK_NEVER:
				break;
		}
	}
	UnlockReleaseBuffer(buffer);
	return later;
}

/* Tells when to look at a pending segment, by the state of the transactions that wrote it. */
static Look
when_to_look(HeapTuple tuple, TransactionId oldest, Buffer buffer, uint64 sequence,
			 uint64 horizon)
{
	Look		look = sequence < horizon ? LOOK_NOW : LOOK_LATER;
	bool		ours = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));

	switch (HeapTupleSatisfiesVacuum(tuple, oldest, buffer))
	{
		case HEAPTUPLE_LIVE:
			return look;
		case HEAPTUPLE_INSERT_IN_PROGRESS:
			return ours ? look : LOOK_LATER;
		case HEAPTUPLE_DELETE_IN_PROGRESS:

			/*
			 * Another transaction's deletion may be rolled back.  So may our own, but then the
			 * results of this look are rolled back with it.
			 */
			return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(tuple->t_data))
				? LOOK_NEVER : LOOK_LATER;
		default:
			return LOOK_NEVER;
	}
}

/* Adds a copy of the segment's tag, unless it is the one added last. */
static void
add_tag(TagList *list, const SegmentHeader *header)
{
	const text *last = list->ntags > 0 ? list->tags[list->ntags - 1] : NULL;

	if (last != NULL && VARSIZE_ANY_EXHDR(last) == header->tag_bytes &&
		memcmp(VARDATA_ANY(last), header->tag, header->tag_bytes) == 0)
		return;
	if (list->ntags == list->capacity)
	{
		/* before the list grows: loads bring the same tags again and again */
		sort_tags(list);
		if (list->ntags > list->capacity / 2)
		{
			list->capacity *= 2;
			list->tags = repalloc_huge(list->tags, list->capacity * sizeof(text *));
		}
	}
	list->tags[list->ntags++] = cstring_to_text_with_len(header->tag, header->tag_bytes);
}

/* Orders the tags and keeps each once. */
static void
sort_tags(TagList *list)
{
	uint32		kept = 0;

	qsort(list->tags, list->ntags, sizeof(text *), compare_tags);
	for (uint32 i = 0; i < list->ntags; i++)
	{
		if (kept > 0 && tag_compare(list->tags[kept - 1], list->tags[i]) == 0)
			pfree(list->tags[i]);
		else
			list->tags[kept++] = list->tags[i];
	}
	list->ntags = kept;
}

static int
compare_tags(const void *left, const void *right)
{
	return tag_compare(*(text *const *) left, *(text *const *) right);
}
