/*
 * moving_average.c
 *	  historian.moving_average(): the mean of the rows in a span of time before each sample.
 *
 * Spans may overlap, yet each row is read and summed once.  The rows are cut wherever a span
 * begins or ends; a span is then a queue of whole cuts, whose sums must be known as cuts enter and
 * leave.  Sums are only ever added, as a difference would keep the rounding errors of a spike that
 * has left, and an infinity for ever: the queue is kept as two stacks, where the older one holds
 * for each cut the sums from it to the top of the stack ("two stacks" of sliding windows).
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "method.h"
#include "read_access.h"
#include "reduction.h"
#include "slice_reader.h"

PG_FUNCTION_INFO_V1(historian_moving_average);

typedef struct ColumnSum
{
	int64		count;
	DoubleSum	sum;
} ColumnSum;

/* The sums over some rows. */
typedef struct Sums
{
	int64		end;			/* of the cut */
	bool		has_array;
	uint32		width;
	ColumnSum  *columns;		/* [width], palloc'd for capacity */
	uint32		capacity;
} Sums;

typedef struct SumsStack
{
	Sums	   *entries;
	uint32		nentries;
	uint32		capacity;
} SumsStack;

typedef struct Queue
{
	SumsStack	older;			/* each entry with those below it, which are newer; oldest on top */
	SumsStack	newer;			/* each entry by itself; newest on top */
	Sums		newer_total;
	Sums		total;			/* scratch */
	double		scratch[CODEC_MAX_ROWS];
} Queue;

static int64 *span_bounds(const Window *window, int64 span, uint32 *nbounds, int64 *from);
static void moving_average(const MethodCall *call, int64 span);
static void queue_enter(Queue *queue, const RowSlice *slice, int64 end);
static void queue_leave(Queue *queue, int64 until);
static void queue_put(Queue *queue, int64 time, SampleSink *sink);
static Sums *stack_push(SumsStack *stack);
static void sums_clear(Sums *sums);
static void sums_reserve(Sums *sums, uint32 width);
static void sums_merge(Sums *sums, const Sums *other);

/*
 * historian.moving_average(table regclass, tag text, start bigint, "end" bigint, samples integer,
 * "window" bigint) returns setof (time bigint, values float8[])
 */
Datum
historian_moving_average(PG_FUNCTION_ARGS)
{
	Window		window = window_check(PG_GETARG_INT64(2), PG_GETARG_INT64(3), PG_GETARG_INT32(4));
	int64		span = PG_GETARG_INT64(5);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SampleSink	sink;
	MethodCall	call = {
		.snapshot = GetActiveSnapshot(),
		.tag = PG_GETARG_TEXT_PP(1),
		.window = &window,
		.sink = &sink,
	};

	if (span < 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("window (" INT64_FORMAT ") must be greater than zero", span));
	call.rel = read_access_open(PG_GETARG_OID(0));
	InitMaterializedSRF(fcinfo, 0);
	sink = (SampleSink) {.store = result->setResult, .desc = result->setDesc};
	call.cursor = directory_begin(call.rel, call.snapshot);
	if (directory_has_tag(call.cursor, call.tag))
		moving_average(&call, span);
	directory_end(call.cursor);
	table_close(call.rel, NoLock);
	return (Datum) 0;
}

static void
moving_average(const MethodCall *call, int64 span)
{
	Queue	   *queue = palloc0_object(Queue);
	uint32		nbounds;
	int64		from;
	int64	   *bounds = span_bounds(call->window, span, &nbounds, &from);
	SliceReader *reader = slice_reader_begin(call->rel, call->cursor, call->snapshot, call->tag,
											 from, bounds, nbounds, true);
	RowSlice	slice;
	bool		more = slice_reader_next(reader, &slice);

	for (int32 i = 1; i <= call->window->samples; i++)
	{
		int64		time = window_time(call->window, i);

		while (more && bounds[slice.period] <= time)
		{
			queue_enter(queue, &slice, bounds[slice.period]);
			more = slice_reader_next(reader, &slice);
		}
		if (time >= PG_INT64_MIN + span)
			queue_leave(queue, time - span);
		queue_put(queue, time, call->sink);
	}
	slice_reader_end(reader);
}

/*
 * The times at which a span begins or ends, ascending, and the first time within one.  A span
 * that would begin before all times begins with them.
 */
static int64 *
span_bounds(const Window *window, int64 span, uint32 *nbounds, int64 *from)
{
	int64	   *ends = window_times(window);
	int64	   *bounds = palloc_extended(2 * sizeof(int64) * window->samples, MCXT_ALLOC_HUGE);
	uint32		n = 0;
	int32		begin = 0;

	*from = ends[0] < PG_INT64_MIN + span ? PG_INT64_MIN : ends[0] - span + 1;
	while (begin < window->samples && ends[begin] < PG_INT64_MIN + span)
		begin++;
	for (int32 end = 0; end < window->samples; end++)
	{
		while (begin < window->samples && ends[begin] - span <= ends[end])
			bounds[n++] = ends[begin++] - span;
		bounds[n++] = ends[end];
	}
	*nbounds = n;
	pfree(ends);
	return bounds;
}

/* Adds the rows of a slice, which lie in the cut that ends at end. */
static void
queue_enter(Queue *queue, const RowSlice *slice, int64 end)
{
	SumsStack  *newer = &queue->newer;
	Sums	   *cut;
	uint32		width;

	if (!row_slice_width(slice, &width))
		return;
	if (newer->nentries > 0 && newer->entries[newer->nentries - 1].end == end)
		cut = &newer->entries[newer->nentries - 1];
	else
		cut = stack_push(newer);
	cut->end = end;
	cut->has_array = true;
	queue->newer_total.has_array = true;
	sums_reserve(cut, width);
	sums_reserve(&queue->newer_total, width);
	for (uint32 v = 0; v < width; v++)
	{
		const double *values = NULL;
		uint32		n = row_slice_values(slice, v, queue->scratch, &values);
		DoubleSum	sum = double_sum(values, n);

		cut->columns[v].count += n;
		double_sum_merge(&cut->columns[v].sum, &sum);
		queue->newer_total.columns[v].count += n;
		double_sum_merge(&queue->newer_total.columns[v].sum, &sum);
	}
}

/* Drops the cuts that end at or before until. */
static void
queue_leave(Queue *queue, int64 until)
{
	SumsStack  *older = &queue->older;
	SumsStack  *newer = &queue->newer;

	for (;;)
	{
		while (older->nentries > 0 && older->entries[older->nentries - 1].end <= until)
			older->nentries--;
		if (older->nentries > 0 || newer->nentries == 0 || newer->entries[0].end > until)
			return;
		while (newer->nentries > 0)
		{
			const Sums *cut = &newer->entries[--newer->nentries];
			Sums	   *sums = stack_push(older);

			sums->end = cut->end;
			sums_merge(sums, cut);
			if (older->nentries > 1)
				sums_merge(sums, &older->entries[older->nentries - 2]);
		}
		sums_clear(&queue->newer_total);
	}
}

static void
queue_put(Queue *queue, int64 time, SampleSink *sink)
{
	double		elements[CODEC_MAX_VALUES];
	bool		isnull[CODEC_MAX_VALUES];
	Sums	   *total = &queue->total;

	sums_clear(total);
	if (queue->older.nentries > 0)
		sums_merge(total, &queue->older.entries[queue->older.nentries - 1]);
	sums_merge(total, &queue->newer_total);
	for (uint32 v = 0; v < total->width; v++)
	{
		const ColumnSum *column = &total->columns[v];

		isnull[v] = column->count == 0;
		elements[v] = double_sum_value(&column->sum) / (double) column->count;
	}
	sample_put_elements(sink, time, total->has_array, elements, isnull, total->width);
}

/* A cleared entry on top; entries keep their memory for re-use. */
static Sums *
stack_push(SumsStack *stack)
{
	if (stack->nentries == stack->capacity)
	{
		uint32		capacity = Max(64, stack->capacity * 2);
		Sums	   *entries = palloc_extended(capacity * sizeof(Sums),
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

		if (stack->entries != NULL)
		{
			memcpy(entries, stack->entries, stack->capacity * sizeof(Sums));
			pfree(stack->entries);
		}
		stack->entries = entries;
		stack->capacity = capacity;
	}
	sums_clear(&stack->entries[stack->nentries]);
	return &stack->entries[stack->nentries++];
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
