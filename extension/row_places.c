/*
 * row_places.c
 *	  The ctids that a scan for DELETE gives its rows.
 */
#include "postgres.h"

#include "row_places.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "tag.h"

typedef struct NumberedSegment
{
	ItemPointerData place;
	text	   *tag;
} NumberedSegment;

/* NULL where nothing is numbered; the memory goes with the transaction at the latest. */
static MemoryContext context = NULL;
static MemoryContextCallback on_reset;
static NumberedSegment *segments;
static uint32 nsegments;
static uint32 capacity;
static int	nscans;

static void forget(void *arg);

void
row_places_begin(void)
{
	if (context == NULL)
	{
		context = AllocSetContextCreate(TopTransactionContext, "historian row places",
										ALLOCSET_DEFAULT_SIZES);
		on_reset.func = forget;
		MemoryContextRegisterResetCallback(context, &on_reset);
		nscans = 0;
		nsegments = 0;
		capacity = 1024;
		segments = MemoryContextAlloc(context, capacity * sizeof(NumberedSegment));
	}
	nscans++;
}

void
row_places_end(void)
{
	if (context != NULL && --nscans == 0)
		MemoryContextDelete(context);
}

uint32
row_places_add(ItemPointer segment, text *tag)
{
	NumberedSegment *former = nsegments > 0 ? &segments[nsegments - 1] : NULL;
	MemoryContext caller;
	text	   *copy;

	Assert(context != NULL);
	if (nsegments >= MaxBlockNumber)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("too many segments in one DELETE"));

	caller = MemoryContextSwitchTo(context);
	if (nsegments == capacity)
	{
		capacity *= 2;
		segments = repalloc_huge(segments, capacity * sizeof(NumberedSegment));
		former = &segments[nsegments - 1];
	}
	/* segments come tag by tag */
	if (former != NULL && tag_compare(former->tag, tag) == 0)
		copy = former->tag;
	else
		copy = cstring_to_text_with_len(VARDATA_ANY(tag), VARSIZE_ANY_EXHDR(tag));
	MemoryContextSwitchTo(caller);

	segments[nsegments] = (NumberedSegment) {.place = *segment, .tag = copy};
	return nsegments++;
}

RowPlace
row_place_get(ItemPointer ctid)
{
	uint32		number = ItemPointerGetBlockNumberNoCheck(ctid);

	if (context == NULL || number >= nsegments)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("rows of historian tables have no ctid"),
				errhint("A row is identified by tag and time."));
	return (RowPlace) {
		.number = number,
		.segment = segments[number].place,
		.tag = segments[number].tag,
		.row = ItemPointerGetOffsetNumberNoCheck(ctid) - 1,
	};
}

static void
forget(void *arg)
{
	context = NULL;
	nsegments = 0;
}
