/*
 * sliding_sums.c
 *	  Keeps sums over a span of time that slides forward.
 *
 * Sums are only added, never subtracted: a difference would keep the rounding errors of a spike
 * that has left, and an infinity for ever.  So the queue of cuts is kept as two stacks (the "two
 * stacks" algorithm for sliding windows).  The older stack has, for each cut, the sums from it to
 * the end of the stack.  The newer stack has the sums of each cut by itself, and those over all of
 * them.  When the older stack is empty, the newer one becomes the older one.
 *
 *	   older cuts | old blocks | new blocks | newer cuts
 *	   suffix sums  suffix sums   own sums	  own sums
 *
 * Memory is bounded.  When the newest cuts take a quarter of work_mem, they become a block, of
 * which only the sums are kept.  Before the first cut of a block leaves, the block's rows are read
 * once more, which restores its cuts.  So each row is read at most twice.  A block has at least the
 * square root of the number of all cuts, and there are no more blocks than that.  So the memory is
 * at most work_mem, or three times that square root in cuts if this is more.
 */
#include "postgres.h"

#include "read/sliding_sums.h"

#include <math.h>

#include "miscadmin.h"

typedef struct Cut
{
	uint32		bound;			/* it ends at bounds[bound] */
	Sums		sums;
} Cut;

typedef struct CutList
{
	Cut		   *cuts;			/* in order of time */
	uint32		first;			/* the first that has not left */
	uint32		ncuts;
	uint32		capacity;
} CutList;

/* Consecutive cuts. */
typedef struct SumsBlock
{
	uint32		first_bound;	/* of the first cut that has rows */
	uint32		last_bound;
	Sums		sums;			/* its own; of an old block, those from it to the last old one */
} SumsBlock;

struct SlidingSums
{
	SlidingSource source;
	Leaves	   *again;			/* for blocks that are read once more; NULL until needed */
	Size		block_bytes;
	uint32		block_cuts;
	CutList		older;
	SumsBlock  *blocks;			/* all blocks, those that have left included */
	uint32		first_block;	/* the first that has neither left nor become the older cuts */
	uint32		first_new_block;
	uint32		nblocks;
	uint32		blocks_capacity;
	CutList		newer;
	Size		newer_bytes;
	Sums		newer_total;	/* of new blocks and newer cuts */
	Sums		total;			/* scratch */
	double		scratch[CODEC_MAX_ROWS];
};

static void enter(SlidingSums *sliding, CutList *list, const RowSlice *slice, uint32 bound,
				  Sums *also);
static void close_block(SlidingSums *sliding);
static void read_block_again(SlidingSums *sliding, const SumsBlock *block, int64 after);
static bool leave_blocks(SlidingSums *sliding, int64 until);
static bool turn_over(SlidingSums *sliding, int64 until);
static void add_up_from_end(CutList *list);
static Cut *cut_list_add(CutList *list);
static void cut_list_clear(CutList *list);
static void sums_clear(Sums *sums);
static void sums_reserve(Sums *sums, uint32 width);
static void sums_merge(Sums *sums, const Sums *other);

SlidingSums *
sliding_sums_begin(const SlidingSource *source)
{
	SlidingSums *sliding = palloc0(sizeof(SlidingSums));

	sliding->source = *source;
	sliding->block_bytes = (Size) work_mem * 1024 / 4;
	sliding->block_cuts = (uint32) ceil(sqrt(source->nbounds));
	return sliding;
}

void
sliding_sums_end(SlidingSums *sliding)
{
	if (sliding->again != NULL)
		leaves_again_end(sliding->again);
}

void
sliding_sums_enter(SlidingSums *sliding, const RowSlice *slice)
{
	uint32		width;

	if (!row_slice_width(slice, &width))
		return;
	if (sliding->newer.ncuts == 0 ||
		sliding->newer.cuts[sliding->newer.ncuts - 1].bound != slice->period)
	{
		if (sliding->newer_bytes >= sliding->block_bytes &&
			sliding->newer.ncuts >= sliding->block_cuts)
			close_block(sliding);
		sliding->newer_bytes += sizeof(Cut) + width * sizeof(ColumnSum);
	}
	enter(sliding, &sliding->newer, slice, slice->period, &sliding->newer_total);
}

void
sliding_sums_leave(SlidingSums *sliding, int64 until)
{
	CutList    *older = &sliding->older;

	do
	{
		while (older->first < older->ncuts &&
			   sliding->source.bounds[older->cuts[older->first].bound] <= until)
			older->first++;
	} while (older->first == older->ncuts &&
			 (leave_blocks(sliding, until) || turn_over(sliding, until)));
}

const Sums *
sliding_sums_total(SlidingSums *sliding)
{
	Sums	   *total = &sliding->total;

	sums_clear(total);
	if (sliding->older.first < sliding->older.ncuts)
		sums_merge(total, &sliding->older.cuts[sliding->older.first].sums);
	if (sliding->first_block < sliding->first_new_block)
		sums_merge(total, &sliding->blocks[sliding->first_block].sums);
	sums_merge(total, &sliding->newer_total);
	return total;
}

/*
 * Adds a slice's rows to the cut of this bound at the end of a list, and to other sums (NULL:
 * none).
 */
static void
enter(SlidingSums *sliding, CutList *list, const RowSlice *slice, uint32 bound, Sums *also)
{
	Cut		   *cut;
	uint32		width;

	if (!row_slice_width(slice, &width))
		return;
	if (list->ncuts > 0 && list->cuts[list->ncuts - 1].bound == bound)
		cut = &list->cuts[list->ncuts - 1];
	else
		cut = cut_list_add(list);
	cut->bound = bound;
	cut->sums.has_array = true;
	sums_reserve(&cut->sums, width);
	if (also != NULL)
	{
		also->has_array = true;
		sums_reserve(also, width);
	}
	for (uint32 v = 0; v < width; v++)
	{
		const double *values = NULL;
		uint32		n = row_slice_values(slice, v, sliding->scratch, &values);
		DoubleSum	sum = double_sum(values, n);

		cut->sums.columns[v].count += n;
		double_sum_merge(&cut->sums.columns[v].sum, &sum);
		if (also == NULL)
			continue;
		also->columns[v].count += n;
		double_sum_merge(&also->columns[v].sum, &sum);
	}
}

/* Makes a block of the newer cuts. */
static void
close_block(SlidingSums *sliding)
{
	CutList    *newer = &sliding->newer;
	SumsBlock  *block;

	if (sliding->nblocks == sliding->blocks_capacity)
	{
		sliding->blocks_capacity = Max(16, sliding->blocks_capacity * 2);
		sliding->blocks = sliding->blocks == NULL
			? palloc_array(SumsBlock, sliding->blocks_capacity)
			: repalloc_array(sliding->blocks, SumsBlock, sliding->blocks_capacity);
	}
	block = &sliding->blocks[sliding->nblocks++];
	*block = (SumsBlock) {
		.first_bound = newer->cuts[0].bound,
		.last_bound = newer->cuts[newer->ncuts - 1].bound,
	};
	for (uint32 i = 0; i < newer->ncuts; i++)
		sums_merge(&block->sums, &newer->cuts[i].sums);
	cut_list_clear(newer);
	sliding->newer_bytes = 0;
}

/*
 * Drops the old blocks that end at or before until, and restores the cuts of the next one if some
 * of them leave.  Returns whether there are older cuts again.
 */
static bool
leave_blocks(SlidingSums *sliding, int64 until)
{
	const int64 *bounds = sliding->source.bounds;

	while (sliding->first_block < sliding->first_new_block)
	{
		SumsBlock  *block = &sliding->blocks[sliding->first_block];
		bool		again;

		if (bounds[block->first_bound] > until)
			return false;
		again = bounds[block->last_bound] > until;
		if (again)
			read_block_again(sliding, block, until);
		if (block->sums.columns != NULL)
			pfree(block->sums.columns);
		sliding->first_block++;
		if (again)
			return true;
	}
	return false;
}

/* Restores the cuts of a block that end after a time, as the older cuts. */
static void
read_block_again(SlidingSums *sliding, const SumsBlock *block, int64 after)
{
	const SlidingSource *source = &sliding->source;
	uint32		first = block->first_bound;
	SliceReader *reader;
	RowSlice	slice;

	while (source->bounds[first] <= after)
		first++;
	if (sliding->again == NULL)
		sliding->again = leaves_again(source->leaves);
	reader = slice_reader_begin(sliding->again, source->tag,
								first == 0 ? source->from : source->bounds[first - 1] + 1,
								source->bounds + first, block->last_bound - first + 1, true);
	cut_list_clear(&sliding->older);
	while (slice_reader_next(reader, &slice))
		enter(sliding, &sliding->older, &slice, first + slice.period, NULL);
	slice_reader_end(reader);
	add_up_from_end(&sliding->older);
}

/*
 * If nothing old is left, makes the new blocks old or, if there are none, the newer cuts.  Returns
 * false if it has done neither, because nothing new leaves yet.
 */
static bool
turn_over(SlidingSums *sliding, int64 until)
{
	const int64 *bounds = sliding->source.bounds;
	CutList		emptied = sliding->older;

	if (sliding->first_block < sliding->first_new_block)
		return false;
	if (sliding->first_new_block < sliding->nblocks)
	{
		if (bounds[sliding->blocks[sliding->first_new_block].first_bound] > until)
			return false;
		for (uint32 i = sliding->nblocks - 1; i > sliding->first_new_block; i--)
			sums_merge(&sliding->blocks[i - 1].sums, &sliding->blocks[i].sums);
		sliding->first_new_block = sliding->nblocks;
		sums_clear(&sliding->newer_total);
		for (uint32 i = 0; i < sliding->newer.ncuts; i++)
			sums_merge(&sliding->newer_total, &sliding->newer.cuts[i].sums);
		return true;
	}

	if (sliding->newer.ncuts == 0 || bounds[sliding->newer.cuts[0].bound] > until)
		return false;
	sliding->older = sliding->newer;
	sliding->newer = emptied;
	sliding->newer_bytes = 0;
	cut_list_clear(&sliding->newer);
	sums_clear(&sliding->newer_total);
	add_up_from_end(&sliding->older);
	return true;
}

/* Adds to the sums of each cut those of all later cuts. */
static void
add_up_from_end(CutList *list)
{
	for (uint32 i = list->ncuts; i > 1; i--)
		sums_merge(&list->cuts[i - 2].sums, &list->cuts[i - 1].sums);
}

/* Adds an empty cut at the end.  Cuts keep their memory for re-use. */
static Cut *
cut_list_add(CutList *list)
{
	if (list->ncuts == list->capacity)
	{
		uint32		capacity = Max(64, list->capacity * 2);
		Cut		   *cuts = palloc_extended(capacity * sizeof(Cut), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

		if (list->cuts != NULL)
		{
			memcpy(cuts, list->cuts, list->capacity * sizeof(Cut));
			pfree(list->cuts);
		}
		list->cuts = cuts;
		list->capacity = capacity;
	}
	sums_clear(&list->cuts[list->ncuts].sums);
	return &list->cuts[list->ncuts++];
}

static void
cut_list_clear(CutList *list)
{
	list->first = 0;
	list->ncuts = 0;
}

static void
sums_clear(Sums *sums)
{
	sums->has_array = false;
	sums->width = 0;
}

/* Makes sums at least this wide. */
static void
sums_reserve(Sums *sums, uint32 width)
{
	if (width > sums->capacity)
	{
		sums->columns = sums->columns == NULL
			? palloc_array(ColumnSum, width)
			: repalloc_array(sums->columns, ColumnSum, width);
		sums->capacity = width;
	}
	for (; sums->width < width; sums->width++)
		sums->columns[sums->width] = (ColumnSum) {0};
}

static void
sums_merge(Sums *sums, const Sums *other)
{
	sums_reserve(sums, other->width);
	sums->has_array |= other->has_array;
	for (uint32 v = 0; v < other->width; v++)
	{
		sums->columns[v].count += other->columns[v].count;
		double_sum_merge(&sums->columns[v].sum, &other->columns[v].sum);
	}
}
