/*
 * row_places.c
 *	  The ctids that a scan for DELETE gives its rows.
 */
#include "postgres.h"

#include "row_places.h"

#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "tag.h"

typedef struct NumberedSegment
{
	ItemPointerData place;
	text	   *tag;
} NumberedSegment;

/* From places to numbers. */
typedef struct PlaceKey
{
	Oid			relid;
	BlockNumber block;
	OffsetNumber item;
	uint16		padding;		/* zero, as the key is hashed as bytes */
} PlaceKey;

typedef struct PlaceEntry
{
	PlaceKey	key;
	uint32		number;
} PlaceEntry;

/* NULL where nothing is numbered; the memory goes with the transaction at the latest. */
static MemoryContext context = NULL;
static MemoryContextCallback on_reset;
static HTAB *numbers;
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
		HASHCTL		control = {
			.keysize = sizeof(PlaceKey),
			.entrysize = sizeof(PlaceEntry),
		};

		context = AllocSetContextCreate(TopTransactionContext, "historian row places",
										ALLOCSET_DEFAULT_SIZES);
		on_reset.func = forget;
		MemoryContextRegisterResetCallback(context, &on_reset);
		control.hcxt = context;
		numbers = hash_create("historian row places", 256, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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
row_places_number(Oid relid, ItemPointer segment, text *tag)
{
	PlaceKey	key = {
		.relid = relid,
		.block = ItemPointerGetBlockNumber(segment),
		.item = ItemPointerGetOffsetNumber(segment),
	};
	PlaceEntry *entry;
	MemoryContext caller;
	text	   *copy;
	bool		found;

	Assert(context != NULL);
	entry = hash_search(numbers, &key, HASH_ENTER, &found);
	if (found)
		return entry->number;
	if (nsegments >= MaxBlockNumber)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("too many segments in one DELETE or UPDATE"));

	caller = MemoryContextSwitchTo(context);
	if (nsegments == capacity)
	{
		capacity *= 2;
		segments = repalloc_huge(segments, capacity * sizeof(NumberedSegment));
	}
	/* segments come tag by tag */
	if (nsegments > 0 && tag_compare(segments[nsegments - 1].tag, tag) == 0)
		copy = segments[nsegments - 1].tag;
	else
		copy = cstring_to_text_with_len(VARDATA_ANY(tag), VARSIZE_ANY_EXHDR(tag));
	MemoryContextSwitchTo(caller);

	segments[nsegments] = (NumberedSegment) {.place = *segment, .tag = copy};
	entry->number = nsegments++;
	return entry->number;
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
