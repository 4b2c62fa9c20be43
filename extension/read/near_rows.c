/*
 * near_rows.c
 *	  The values of single rows, for callers whose rows may be near each other.
 *
 * To find one value among coded differences takes as long as to decode a hundred, because the search
 * starts at an anchor.  So while the rows asked for are far from each other, each is found by itself;
 * when some in turn were near each other, as in a day of which a minute is shown, many are decoded
 * together, and the next ones are taken from these.
 */
#include "postgres.h"

#include "read/near_rows.h"

#include "store/decoded_rows.h"

/*
 * So many rows are decoded together, from a multiple of the second number on: what the codec decodes
 * side by side, from where it can begin (codec_huffman.c).  They are fewer, from any row on, where rows
 * are so wide that more would take over 512 kB.
 */
#define WINDOW_ROWS 512
#define WINDOW_ALIGNMENT 128
#define WINDOW_CELLS (64 * 1024)

/* Rows are near each other if so many of them, evenly far apart, would be in one window. */
#define NEAR_OF_WINDOW 16

/* So many rows must be near the one before each, until more are decoded than asked for. */
#define NEAR_IN_TURN 2

/* Rows of one tag in one stored tuple. */
typedef struct SegmentPlace
{
	ItemPointerData tid;
	uint32		first_row;		/* of the stored tuple's rows */
} SegmentPlace;

struct NearRows
{
	MemoryContext context;

	/* the row before */
	SegmentPlace former;
	uint32		former_row;
	uint32		in_turn;		/* rows up to it that were near the one before each */

	/* rows decoded together */
	SegmentPlace place;
	uint32		first;			/* of its rows */
	DecodedRows window;			/* without rows: none are decoded */
};

static inline SegmentPlace
place_of(const StoredSegment *stored)
{
	return (SegmentPlace) {.tid = stored->tuple.t_self, .first_row = stored->segment.first_row};
}

static inline bool
is_same_place(SegmentPlace *a, SegmentPlace *b)
{
	return a->first_row == b->first_row && ItemPointerEquals(&a->tid, &b->tid);
}

NearRows *
near_rows_begin(void)
{
	NearRows   *near = palloc0_object(NearRows);

	near->context = CurrentMemoryContext;
	near_rows_forget(near);
	return near;
}

void
near_rows_end(NearRows *near)
{
	decoded_rows_free(&near->window);
	pfree(near);
}

void
near_rows_forget(NearRows *near)
{
	ItemPointerSetInvalid(&near->former.tid);
	near->in_turn = 0;
	near->window.nrows = 0;
}

/* How many rows of the segment are decoded together. */
static inline uint32
window_rows(const Segment *segment)
{
	uint32		nvalues = Max(codec_nvalues(&segment->rows), 1);

	return Min(WINDOW_ROWS, Max(WINDOW_CELLS / nvalues, NEAR_OF_WINDOW));
}

/* Decodes the row and those after it. */
static void
decode_window(NearRows *near, Relation rel, const StoredSegment *stored, uint32 row)
{
	const Segment *segment = &stored->segment;
	uint32		count = window_rows(segment);
	MemoryContext caller = MemoryContextSwitchTo(near->context);
	bool		ascend;

	near->first = count == WINDOW_ROWS ? row - row % WINDOW_ALIGNMENT : row;
	near->place = place_of(stored);
	near->window.nrows = 0;
	ascend = decoded_rows_load_numbered(&near->window, segment, near->first,
										Min(near->first + count, segment->header.nrows), values_all);
	MemoryContextSwitchTo(caller);
	if (!ascend)
		store_report(rel, (ItemPointer) &stored->tuple.t_self, &segment->header, SEGMENT_BAD_TIMES);
}

Datum
near_rows_array(NearRows *near, Relation rel, const StoredSegment *stored, uint32 row, bool *isnull)
{
	SegmentPlace place = place_of(stored);

	if (is_same_place(&near->former, &place) && row >= near->former_row &&
		row - near->former_row <= window_rows(&stored->segment) / NEAR_OF_WINDOW)
		near->in_turn++;
	else
		near->in_turn = 0;
	near->former = place;
	near->former_row = row;

	if (near->window.nrows == 0 || !is_same_place(&near->place, &place) ||
		row < near->first || row - near->first >= near->window.nrows)
	{
		if (near->in_turn < NEAR_IN_TURN)
			return decoded_rows_segment_array(&stored->segment, row, isnull);
		decode_window(near, rel, stored, row);
	}
	return decoded_rows_array(&near->window, row - near->first, isnull);
}
