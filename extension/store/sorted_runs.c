/*
 * sorted_runs.c
 *	  The sorted runs of a table: shared segments in order of their tags.
 *
 * A table may have some dozens of runs, and each look-up of a tag has to look into all of them.
 * Readers of many tags ask for these in order.  So each run has a position that moves forward: in a
 * copy of one shared segment, which costs some nanoseconds a tag, and from one segment to the next by
 * what was read ahead of the directory (run_ahead.h).  It is a copy because a pinned page would keep VACUUM
 * waiting for as long as the reader is busy.
 */
#include "postgres.h"

#include "store/sorted_runs.h"

#include "access/stratnum.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "compat.h"
#include "store/directory_key.h"
#include "store/run_ahead.h"
#include "store/shared_segment.h"
#include "tag.h"

/* So many entries are stepped over before the rest of a shared segment is searched. */
#define MOST_STEPS 8

/* No run has as many rows. */
#define MAX_RUN_ROWS 1e15

/* A run, and the first of its entries whose tag is not before the one sought last. */
typedef struct RunPosition
{
	SortedRun	run;
	bool		positioned;
	bool		at_end;			/* no entry is left */
	bool		behind;			/* the entry is the first one after the segment of `key`, which is
								 * not read yet */
	bool		has_tag;		/* the entry's tag is the present one, or that looked up */
	char		sought[SEGMENT_MAX_TAG_BYTES + 1];
	uint32		sought_bytes;

	RunAhead	ahead;			/* the segments behind */

	/* the shared segment of the entry */
	ItemPointerData place;
	DirectoryTag key;
	uint8	   *bytes;			/* NULL before the first one */
	Size		length;
	SharedReader reader;
} RunPosition;

struct SortedRuns
{
	DirectoryView view;
	DirectoryWalk roots;
	DirectoryWalk places;		/* of segments within a run, from a key back */
	DirectoryWalk onward;		/* the same from a key on, with their keys */
	DirectoryWalk segments;		/* all of a run */
	RunPosition *runs;			/* that with the greatest last_time first */
	uint32		nruns;
	uint32		capacity;

	/* the look-up under way */
	text	   *tag;
	int64		from;
	int64		until;
	uint32		next_run;
	bool		tag_is_present;

	/*
	 * The run whose entry has the present tag, or NULL.  All runs are then at their first entries
	 * whose tags are not before it, so a reader that goes from tag to tag need not search in each.
	 */
	const RunPosition *present;

	/* the walk over all tags */
	RunPosition **walked;		/* the runs, the earliest load first; NULL before the first walk */
	uint32		next_walked;	/* the next of them to ask for rows of the present tag */

	/* the walk through the segments of a run */
	DirectoryTag walk_from;
	DirectoryTag walk_until;
};

static void list_runs(SortedRuns *runs);
static void add_run(SortedRuns *runs, StoredSegment *root);
static void free_position(RunPosition *at);
static void open_entry(const SortedRuns *runs, const RunPosition *at, StoredSegment *stored);
static bool is_present(const SortedRuns *runs, const text *tag);
static text *find_present(SortedRuns *runs);
static void step_all(SortedRuns *runs);
static void move_all_after(SortedRuns *runs, const text *tag);
static bool find_in(SortedRuns *runs, RunPosition *at, const char *tag, Size tag_bytes);
static void move_to(SortedRuns *runs, RunPosition *at, const char *tag, Size tag_bytes);
static void go_to(SortedRuns *runs, RunPosition *at, const char *tag, Size tag_bytes);
static void step(SortedRuns *runs, RunPosition *at);
static bool step_to(RunPosition *at, const char *tag, Size tag_bytes);
static void descend(SortedRuns *runs, RunPosition *at, const char *tag, Size tag_bytes);
static bool load_last(SortedRuns *runs, RunPosition *at, DirectoryTag *from, DirectoryTag *until,
					  bool *loaded);
static void load_last_version(SortedRuns *runs, RunPosition *at, DirectoryTag *from,
							  DirectoryTag *until, bool *loaded);
static void start_places(SortedRuns *runs, DirectoryWalk *walk, DirectoryTag *from,
						 DirectoryTag *until);
static void next_segment(SortedRuns *runs, RunPosition *at);
static void walk_to_next_segment(SortedRuns *runs, RunPosition *at);
static bool begin_segment(SortedRuns *runs, RunPosition *at);
static bool load(SortedRuns *runs, RunPosition *at, DirectoryWalk *walk, ItemPointer place,
				 const text *low, const text *high);
static void check_reader(SortedRuns *runs, const RunPosition *at);
static void check_order(SortedRuns *runs, const RunPosition *at, const char *tag, Size tag_bytes);
static int	compare_runs(const void *left, const void *right);
static int	compare_sequence(const void *left, const void *right);

SortedRuns *
sorted_runs_begin(const DirectoryView *view)
{
	MemoryContext caller = MemoryContextSwitchTo(view->context);
	SortedRuns *runs = palloc0(sizeof(SortedRuns));

	runs->view = *view;
	directory_walk_compare_tag(&runs->roots, BTEqualStrategyNumber, F_TEXTEQ);
	directory_walk_null_time(&runs->roots);

	directory_walk_compare_tag(&runs->places, BTGreaterEqualStrategyNumber, F_TEXT_GE);
	directory_walk_compare_tag(&runs->places, BTLessEqualStrategyNumber, F_TEXT_LE);

	runs->onward.want_key = true;
	directory_walk_compare_tag(&runs->onward, BTGreaterEqualStrategyNumber, F_TEXT_GE);
	directory_walk_compare_tag(&runs->onward, BTLessEqualStrategyNumber, F_TEXT_LE);

	directory_walk_compare_tag(&runs->segments, BTGreaterStrategyNumber, F_TEXT_GT);
	directory_walk_compare_tag(&runs->segments, BTLessStrategyNumber, F_TEXT_LT);

	list_runs(runs);
	MemoryContextSwitchTo(caller);
	return runs;
}

void
sorted_runs_end(SortedRuns *runs)
{
	directory_walk_end(&runs->roots, &runs->view);
	directory_walk_end(&runs->places, &runs->view);
	directory_walk_end(&runs->onward, &runs->view);
	directory_walk_end(&runs->segments, &runs->view);
	for (uint32 i = 0; i < runs->nruns; i++)
		free_position(&runs->runs[i]);
	if (runs->runs != NULL)
		pfree(runs->runs);
	if (runs->walked != NULL)
		pfree(runs->walked);
	pfree(runs);
}

uint32
sorted_runs_count(const SortedRuns *runs)
{
	return runs->nruns;
}

const SortedRun *
sorted_runs_get(const SortedRuns *runs, uint32 i)
{
	return &runs->runs[i].run;
}

void
sorted_runs_restrict(SortedRuns *runs, uint64 first_sequence, uint64 last_sequence)
{
	uint32		kept = 0;

	runs->present = NULL;
	for (uint32 i = 0; i < runs->nruns; i++)
	{
		RunPosition *at = &runs->runs[i];

		if (at->run.sequence >= first_sequence && at->run.sequence <= last_sequence)
			runs->runs[kept++] = *at;
		else
			free_position(at);
	}
	runs->nruns = kept;
}

void
sorted_runs_forget(SortedRuns *runs, uint64 number)
{
	uint32		kept = 0;

	runs->present = NULL;
	for (uint32 i = 0; i < runs->nruns; i++)
	{
		RunPosition *at = &runs->runs[i];

		if (at->run.number != number)
			runs->runs[kept++] = *at;
		else
			free_position(at);
	}
	runs->nruns = kept;
}

void
sorted_runs_seek(SortedRuns *runs, text *tag, int64 from, int64 until)
{
	runs->tag = tag;
	runs->from = from;
	runs->until = until;
	runs->next_run = 0;
	runs->tag_is_present = is_present(runs, tag);
	if (!runs->tag_is_present)
		runs->present = NULL;
}

bool
sorted_runs_next(SortedRuns *runs, StoredSegment *stored)
{
	const char *tag = VARDATA_ANY(runs->tag);
	Size		tag_bytes = VARSIZE_ANY_EXHDR(runs->tag);

	while (runs->next_run < runs->nruns)
	{
		RunPosition *at = &runs->runs[runs->next_run++];

		if (at->run.last_time < runs->from)
			break;				/* and so do all others */
		if (at->run.first_time > runs->until)
			continue;
		if (!runs->tag_is_present)
			at->has_tag = find_in(runs, at, tag, tag_bytes);
		if (!at->has_tag)
			continue;
		open_entry(runs, at, stored);
		stored->segment.header.tag = tag;
		return true;
	}
	return false;
}

uint32
sorted_runs_last(const SortedRuns *runs)
{
	return runs->next_run - 1;
}

const uint8 *
sorted_runs_held(const SortedRuns *runs, uint32 run, const ItemPointerData *place, Size *length)
{
	const RunPosition *at = &runs->runs[run];

	if (run >= runs->nruns || at->bytes == NULL ||
		!ItemPointerEquals((ItemPointer) &at->place, (ItemPointer) place))
		return NULL;
	*length = at->length;
	return at->bytes;
}

void
sorted_runs_skip_before(SortedRuns *runs, int64 time)
{
	runs->from = Max(runs->from, time);
}

text *
sorted_runs_next_tag(SortedRuns *runs, text *tag)
{
	if (tag != NULL && is_present(runs, tag))
		step_all(runs);
	else
		move_all_after(runs, tag);
	return find_present(runs);
}

void
sorted_runs_walk(SortedRuns *runs, const text *after)
{
	if (runs->walked != NULL)
		pfree(runs->walked);
	runs->walked = MemoryContextAlloc(runs->view.context,
									  Max(runs->nruns, 1) * sizeof(RunPosition *));
	for (uint32 i = 0; i < runs->nruns; i++)
		runs->walked[i] = &runs->runs[i];
	qsort(runs->walked, runs->nruns, sizeof(RunPosition *), compare_sequence);
	move_all_after(runs, after);
}

text *
sorted_runs_walk_tag(SortedRuns *runs)
{
	if (runs->present != NULL)
		step_all(runs);
	runs->next_walked = 0;
	return find_present(runs);
}

bool
sorted_runs_walk_rows(SortedRuns *runs, StoredSegment *stored)
{
	while (runs->next_walked < runs->nruns)
	{
		const RunPosition *at = runs->walked[runs->next_walked++];

		if (at->has_tag)
		{
			open_entry(runs, at, stored);
			return true;
		}
	}
	return false;
}

void
sorted_runs_seek_segments(SortedRuns *runs, uint32 i)
{
	directory_key_run(&runs->walk_from, runs->runs[i].run.number, "", 0);
	directory_key_run(&runs->walk_until, runs->runs[i].run.number + 1, "", 0);
	runs->segments.keys[0].sk_argument = PointerGetDatum(directory_tag_text(&runs->walk_from));
	runs->segments.keys[1].sk_argument = PointerGetDatum(directory_tag_text(&runs->walk_until));
	directory_walk_start(&runs->segments, &runs->view);
}

bool
sorted_runs_next_segment(SortedRuns *runs, StoredSegment *stored)
{
	ItemPointer place;

	while ((place = directory_walk_step(&runs->segments, &runs->view, ForwardScanDirection)) != NULL)
	{
		ItemPointerData found = *place;
		StoreAbsence absence;

		CHECK_FOR_INTERRUPTS();
		if (store_fetch(runs->view.rel, runs->view.snapshot, NULL, &found, stored, &absence))
			return true;
		directory_walk_absent(&runs->segments, &runs->view, NULL, &found, absence);
	}
	return false;
}

/* Lists the runs whose roots the snapshot sees. */
static void
list_runs(SortedRuns *runs)
{
	DirectoryTag key;
	ItemPointer place;

	directory_key_roots(&key);
	runs->roots.keys[0].sk_argument = PointerGetDatum(directory_tag_text(&key));
	directory_walk_start(&runs->roots, &runs->view);
	while ((place = directory_walk_step(&runs->roots, &runs->view, ForwardScanDirection)) != NULL)
	{
		ItemPointerData found = *place;
		StoredSegment root;
		StoreAbsence absence;

		CHECK_FOR_INTERRUPTS();
		if (store_fetch(runs->view.rel, runs->view.snapshot, NULL, &found, &root, &absence))
		{
			add_run(runs, &root);
			store_release(&root);
		}
		else
			directory_walk_absent(&runs->roots, &runs->view, NULL, &found, absence);
	}
	qsort(runs->runs, runs->nruns, sizeof(RunPosition), compare_runs);
}

static void
add_run(SortedRuns *runs, StoredSegment *root)
{
	const SegmentHeader *header = &root->segment.header;
	RunPosition *at;
	uint32		nvalues;
	double		level;
	double		rows = 0;
	bool		isnull;

	if (!(header->flags & SEGMENT_RUN_ROOT))
		store_report(runs->view.rel, &root->tuple.t_self, header, SEGMENT_MISPLACED);
	store_open_rows(runs->view.rel, root, true);
	nvalues = codec_nvalues(&root->segment.rows);
	if (nvalues == 0)
		store_report(runs->view.rel, &root->tuple.t_self, header, SEGMENT_BAD_ROWS);
	level = codec_value_at(&root->segment.rows, 0, 0, &isnull);
	if (nvalues > 1)
		rows = codec_value_at(&root->segment.rows, 0, 1, &isnull);

	if (runs->nruns == runs->capacity)
	{
		runs->capacity = Max(4, runs->capacity * 2);
		runs->runs = runs->runs == NULL
			? palloc_array(RunPosition, runs->capacity)
			: repalloc_huge(runs->runs, runs->capacity * sizeof(RunPosition));
	}
	at = &runs->runs[runs->nruns++];
	memset(at, 0, sizeof(*at));
	at->run = (SortedRun) {
		.number = segment_run_number(header),
		.sequence = header->sequence,
		.first_time = header->first_time,
		.last_time = header->last_time,
		.level = level >= 0 && level <= SORTED_RUN_MAX_LEVEL ? (uint32) level : 0,
		.rows = rows >= 0 && rows < MAX_RUN_ROWS ? (uint64) rows : 0,
		.root = root->tuple.t_self,
	};
}

/* Frees what a position has. */
static void
free_position(RunPosition *at)
{
	if (at->bytes != NULL)
		pfree(at->bytes);
	run_ahead_free(&at->ahead);
}

/* Opens the rows of the entry at which a position is. */
static void
open_entry(const SortedRuns *runs, const RunPosition *at, StoredSegment *stored)
{
	SegmentStatus status = shared_reader_rows(&at->reader, &stored->segment);

	if (status != SEGMENT_OK)
		store_report(runs->view.rel, (ItemPointer) &at->place, &at->reader.header, status);
	stored->buffer = InvalidBuffer;
	stored->tuple.t_self = at->place;
	stored->tuple.t_data = NULL;
	stored->tuple.t_len = STORE_TUPLE_HEADER + at->reader.block_bytes;
}

static bool
is_present(const SortedRuns *runs, const text *tag)
{
	const SharedReader *reader;

	if (runs->present == NULL)
		return false;
	reader = &runs->present->reader;
	return VARSIZE_ANY_EXHDR(tag) == reader->tag_bytes &&
		memcmp(VARDATA_ANY(tag), reader->tag, reader->tag_bytes) == 0;
}

/* Makes the first of the tags at which the positions are the present one, and returns a copy, or NULL. */
static text *
find_present(SortedRuns *runs)
{
	const RunPosition *first = NULL;

	for (uint32 i = 0; i < runs->nruns; i++)
	{
		RunPosition *at = &runs->runs[i];
		int			order;

		Assert(!at->behind);
		at->has_tag = false;
		if (at->at_end)
			continue;
		order = first == NULL ? -1
			: tag_compare_bytes(at->reader.tag, at->reader.tag_bytes, first->reader.tag,
								first->reader.tag_bytes);
		at->has_tag = order <= 0;
		if (order < 0)
			first = at;
	}
	runs->present = first;
	if (first == NULL)
		return NULL;
	/* the runs before the first one with this tag have later tags, if any */
	for (RunPosition *at = runs->runs; at != first; at++)
		at->has_tag = false;
	return cstring_to_text_with_len(first->reader.tag, first->reader.tag_bytes);
}

/* Moves the positions that are at the present tag to the next entries. */
static void
step_all(SortedRuns *runs)
{
	runs->present = NULL;		/* also if one of them fails */
	for (uint32 i = 0; i < runs->nruns; i++)
	{
		if (runs->runs[i].has_tag)
			step(runs, &runs->runs[i]);
	}
}

/* Moves all positions to the first entries whose tags are after the given one (NULL: to the first). */
static void
move_all_after(SortedRuns *runs, const text *tag)
{
	char		next[SEGMENT_MAX_TAG_BYTES + 1];
	Size		next_bytes = 0;

	runs->present = NULL;
	/* no tag is between this and the given one */
	if (tag != NULL)
	{
		next_bytes = VARSIZE_ANY_EXHDR(tag) + 1;
		memcpy(next, VARDATA_ANY(tag), next_bytes - 1);
		next[next_bytes - 1] = '\0';
	}
	for (uint32 i = 0; i < runs->nruns; i++)
		move_to(runs, &runs->runs[i], next, next_bytes);
}

/* Moves a position to the tag, and tells whether the run has it. */
static bool
find_in(SortedRuns *runs, RunPosition *at, const char *tag, Size tag_bytes)
{
	if (at->behind && tag_compare_bytes(tag, tag_bytes, at->sought, at->sought_bytes) == 0)
		return false;
	go_to(runs, at, tag, tag_bytes);
	return !at->behind && !at->at_end &&
		tag_compare_bytes(at->reader.tag, at->reader.tag_bytes, tag, tag_bytes) == 0;
}

/* Moves a position to the first entry whose tag is not before the given one. */
static void
move_to(SortedRuns *runs, RunPosition *at, const char *tag, Size tag_bytes)
{
	go_to(runs, at, tag, tag_bytes);
	if (at->behind)
		next_segment(runs, at);
	check_order(runs, at, tag, tag_bytes);
}

/*
 * The same, but if the segment that may have the tag does not, the next one is not read.  Who looks up
 * one tag need not know what comes after it.
 */
static void
go_to(SortedRuns *runs, RunPosition *at, const char *tag, Size tag_bytes)
{
	if (at->behind && tag_compare_bytes(tag, tag_bytes, at->sought, at->sought_bytes) >= 0)
		next_segment(runs, at);
	if (!at->positioned ||
		tag_compare_bytes(tag, tag_bytes, at->sought, at->sought_bytes) < 0)
		descend(runs, at, tag, tag_bytes);
	else if (!at->at_end &&
			 tag_compare_bytes(at->reader.tag, at->reader.tag_bytes, tag, tag_bytes) < 0 &&
			 !step_to(at, tag, tag_bytes))
	{
		check_reader(runs, at);
		descend(runs, at, tag, tag_bytes);
	}

	if (!at->behind)
		check_order(runs, at, tag, tag_bytes);
	at->positioned = true;
	at->sought_bytes = Min(tag_bytes, sizeof(at->sought));
	memcpy(at->sought, tag, at->sought_bytes);
}

/* Moves a position to the next entry of its run. */
static void
step(SortedRuns *runs, RunPosition *at)
{
	SharedReader *reader = &at->reader;

	/* no tag is between this and that of the present entry */
	memcpy(at->sought, reader->tag, reader->tag_bytes);
	at->sought[reader->tag_bytes] = '\0';
	at->sought_bytes = reader->tag_bytes + 1;
	if (shared_reader_next(reader))
		return;
	check_reader(runs, at);
	next_segment(runs, at);
	check_order(runs, at, at->sought, at->sought_bytes);
}

/* Moves forward within the present segment.  Returns false if it has no such entry. */
static bool
step_to(RunPosition *at, const char *tag, Size tag_bytes)
{
	for (int i = 0; i < MOST_STEPS; i++)
	{
		if (!shared_reader_next(&at->reader))
			return false;
		if (tag_compare_bytes(at->reader.tag, at->reader.tag_bytes, tag, tag_bytes) >= 0)
			return true;
	}
	return shared_reader_seek(&at->reader, tag, tag_bytes);
}

/* Finds the segment that may have the tag by a descent in the directory. */
static void
descend(SortedRuns *runs, RunPosition *at, const char *tag, Size tag_bytes)
{
	DirectoryTag from;
	DirectoryTag until;
	bool		loaded = false;

	at->at_end = false;
	at->behind = false;
	run_ahead_forget(&at->ahead);
	directory_key_run(&from, at->run.number, "", 0);
	directory_key_run(&until, at->run.number, tag, Min(tag_bytes, SEGMENT_MAX_TAG_BYTES));
	if (load_last(runs, at, &from, &until, &loaded) && !loaded)
		load_last_version(runs, at, &from, &until, &loaded);
	if (loaded && shared_reader_seek(&at->reader, tag, tag_bytes))
		return;
	if (loaded)
		check_reader(runs, at);
	at->behind = true;
}

/*
 * Loads the last of the segments with keys between these, if the snapshot sees it.  Returns false and
 * sets at->key to the first of these, if there is no entry.
 */
static bool
load_last(SortedRuns *runs, RunPosition *at, DirectoryTag *from, DirectoryTag *until, bool *loaded)
{
	ItemPointer place;

	start_places(runs, &runs->places, from, until);
	place = directory_walk_step(&runs->places, &runs->view, BackwardScanDirection);
	if (place == NULL)
		directory_key_copy(&at->key, directory_tag_text(from));
	else
		*loaded = load(runs, at, &runs->places, place, directory_tag_text(from), directory_tag_text(until));
	directory_walk_end(&runs->places, &runs->view);
	return place != NULL;
}

/*
 * The same if there are several versions of it, of which the snapshot may see one.  All versions of a
 * segment have the same key, to which at->key is set.
 */
static void
load_last_version(SortedRuns *runs, RunPosition *at, DirectoryTag *from, DirectoryTag *until,
				  bool *loaded)
{
	DirectoryWalk *walk = &runs->onward;
	ItemPointer place;
	bool		has_key = false;

	start_places(runs, walk, from, until);
	while (!*loaded &&
		   (place = directory_walk_step(walk, &runs->view, BackwardScanDirection)) != NULL)
	{
		const text *key = directory_walk_key(walk);

		CHECK_FOR_INTERRUPTS();
		if (has_key && tag_compare(key, directory_tag_text(&at->key)) != 0)
			break;
		directory_key_copy(&at->key, key);
		has_key = true;
		*loaded = load(runs, at, walk, place, directory_tag_text(&at->key),
					   directory_tag_text(&at->key));
	}
	directory_walk_end(walk, &runs->view);
}

/* Starts a walk over the entries with keys between these, which must outlive it. */
static void
start_places(SortedRuns *runs, DirectoryWalk *walk, DirectoryTag *from, DirectoryTag *until)
{
	walk->keys[0].sk_argument = PointerGetDatum(directory_tag_text(from));
	walk->keys[1].sk_argument = PointerGetDatum(directory_tag_text(until));
	directory_walk_start(walk, &runs->view);
}

/* Moves to the first entry of the first segment after the present key that the snapshot sees. */
static void
next_segment(SortedRuns *runs, RunPosition *at)
{
	const RunAheadEntry *entry;

	at->behind = false;
	while ((entry = run_ahead_next(&at->ahead)) != NULL)
	{
		/* a walk meets those that are not there once more, and takes note of it */
		const text *key = directory_tag_text(&entry->key);

		if (!load(runs, at, NULL, (ItemPointer) &entry->place, key, key))
			break;
		if (begin_segment(runs, at))
			return;
	}
	walk_to_next_segment(runs, at);
}

/* The same by a walk in the directory, which then reads ahead. */
static void
walk_to_next_segment(SortedRuns *runs, RunPosition *at)
{
	DirectoryWalk *walk = &runs->onward;
	DirectoryTag after;
	DirectoryTag until;
	ItemPointer place;
	bool		found = false;

	directory_key_after(&after, directory_tag_text(&at->key));
	directory_key_run_end(&until, at->run.number);
	start_places(runs, walk, &after, &until);
	while (!found &&
		   (place = directory_walk_step(walk, &runs->view, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		directory_key_copy(&at->key, directory_walk_key(walk));
		found = load(runs, at, walk, place, directory_tag_text(&at->key),
					 directory_tag_text(&at->key)) &&
			begin_segment(runs, at);
	}
	if (found)
		run_ahead_read(&at->ahead, walk, &runs->view);
	directory_walk_end(walk, &runs->view);
	at->at_end = !found;
}

/* Moves to the first entry of a segment that was loaded; returns false if it has none. */
static bool
begin_segment(SortedRuns *runs, RunPosition *at)
{
	if (shared_reader_next(&at->reader))
		return true;
	check_reader(runs, at);
	return false;
}

/*
 * Copies the segment of an entry whose key is between low and high, unless the snapshot does not see it,
 * and sets at->key.  walk: the one that is at the entry, or NULL.
 */
static bool
load(SortedRuns *runs, RunPosition *at, DirectoryWalk *walk, ItemPointer place, const text *low,
	 const text *high)
{
	StoredSegment stored;
	DirectoryTag own;
	Datum		values[DIRECTORY_NKEYS];
	bool		isnull[DIRECTORY_NKEYS];
	StoreAbsence absence;
	const uint8 *bytes;
	Size		length;

	at->place = *place;
	if (!store_fetch(runs->view.rel, runs->view.snapshot, NULL, &at->place, &stored, &absence))
	{
		if (walk != NULL)
			directory_walk_absent(walk, &runs->view, NULL, &at->place, absence);
		return false;
	}
	at->place = stored.tuple.t_self;
	directory_key(&stored.segment.header, &own, values, isnull);
	if (!(stored.segment.header.flags & SEGMENT_SHARED) ||
		tag_compare(directory_tag_text(&own), low) < 0 ||
		tag_compare(directory_tag_text(&own), high) > 0)
		store_report(runs->view.rel, &at->place, &stored.segment.header, SEGMENT_MISPLACED);
	if (at->bytes == NULL)
		at->bytes = MemoryContextAlloc(runs->view.context, STORE_MAX_SEGMENT_BYTES);
	bytes = store_segment_bytes(BufferGetPage(stored.buffer), &stored.tuple, &length);
	length = Min(length, STORE_MAX_SEGMENT_BYTES);
	memcpy(at->bytes, bytes, length);
	store_release(&stored);
	directory_key_copy(&at->key, directory_tag_text(&own));
	at->length = length;
	(void) shared_reader_open(&at->reader, at->bytes, length, true);
	check_reader(runs, at);
	return true;
}

static void
check_reader(SortedRuns *runs, const RunPosition *at)
{
	if (at->reader.status != SEGMENT_OK)
		store_report(runs->view.rel, (ItemPointer) &at->place, NULL, at->reader.status);
}

/*
 * Raises an error if the present entry is before a tag.  A reader that goes from tag to tag would never
 * come to the end of such damaged ones.
 */
static void
check_order(SortedRuns *runs, const RunPosition *at, const char *tag, Size tag_bytes)
{
	if (!at->at_end &&
		tag_compare_bytes(at->reader.tag, at->reader.tag_bytes, tag, tag_bytes) < 0)
		store_report(runs->view.rel, (ItemPointer) &at->place, &at->reader.header,
					 SEGMENT_MISPLACED);
}

/* Orders the run that ends last first, and of those that end together the later load. */
static int
compare_runs(const void *left, const void *right)
{
	const SortedRun *a = &((const RunPosition *) left)->run;
	const SortedRun *b = &((const RunPosition *) right)->run;

	if (a->last_time != b->last_time)
		return a->last_time > b->last_time ? -1 : 1;
	return a->sequence > b->sequence ? -1 : a->sequence < b->sequence;
}

/* Orders the places of runs by load, the earliest first. */
static int
compare_sequence(const void *left, const void *right)
{
	const SortedRun *a = &(*(RunPosition *const *) left)->run;
	const SortedRun *b = &(*(RunPosition *const *) right)->run;

	return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}
