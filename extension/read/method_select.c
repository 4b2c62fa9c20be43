/*
 * method_select.c
 *	  The methods that keep rows as they are.
 *
 * first keeps rows of whole periods, and lttb judges rows by one of their values.
 */
#include "postgres.h"

#include "read/method_select.h"

#include <math.h>

#include "miscadmin.h"

#include "read/as_of.h"
#include "read/chosen_rows.h"
#include "read/slice_reader.h"
#include "store/reduction.h"

/* The most corners that a period's upper or lower hull keeps. */
#define MAX_CORNERS 16384

/*
 * Products of differences.  As doubles, those of numbers near 1e-300 would lose digits and those of
 * the greatest numbers overflow.  Most processors have a type of more range.
 */
typedef long double Area;

/* A row as a point of a chart: x from 0 to 1 over the window, y the value. */
typedef struct Point
{
	int64		time;
	double		x;
	double		y;
} Point;

/* Points in ascending order of x. */
typedef struct Points
{
	Point	   *points;
	uint32		npoints;
	uint32		capacity;
} Points;

/*
 * The points of a period, of which largest-triangle-three-buckets takes one.  The area is a linear
 * function of the point within either half-plane, so only corners of the convex hull are
 * candidates, and only these are kept.  All points of a smooth curve may be corners: if these are
 * too many, none is kept, and the period is read once more.
 */
typedef struct Bucket
{
	Points		upper;
	Points		lower;
	bool		too_many;
	int64		first_time;
	int64		last_time;
	double		sum_x;
	DoubleSum	sum_y;
	uint64		npoints;
} Bucket;

/* State of largest-triangle-three-buckets. */
typedef struct Triangles
{
	const MethodCall *call;
	Leaves	   *again;			/* for periods that are read once more; NULL until needed */
	ChosenRows *chosen;
	Point		former;			/* the point chosen last */
	Bucket	   *full;			/* complete; waits for the average of the next one */
	Bucket	   *filling;
} Triangles;

/* The point that spans the largest triangle so far. */
typedef struct Largest
{
	Point		former;			/* the triangle's other corners */
	double		next_x;
	double		next_y;
	bool		any;
	Point		best;
	Area		area;
} Largest;

static Point row_point(const MethodCall *call, const RowSlice *slice, uint32 row);
static void points_add(Points *points, const Point *point);
static void hull_add(Points *hull, const Point *point, int side);
static void bucket_add(Bucket *bucket, const Point *point);
static void bucket_clear(Bucket *bucket);
static void bucket_full(Triangles *triangles);
static void choose_largest(Triangles *triangles, double next_x, double next_y);
static void consider(Largest *largest, const Point *point);
static void consider_again(Triangles *triangles, const Bucket *bucket, Largest *largest);

/* Puts the first row of each period, or NULL if the period has none. */
void
method_first(const MethodCall *call)
{
	AsOfReader *reader = as_of_begin(call->leaves);
	Leaves	   *ahead = leaves_again(call->leaves);
	uint32		current = 0;
	SliceReader *slices;
	RowSlice	slice;
	bool		changed;

	as_of_start(reader, call->tag, call->window->end);
	slices = slice_reader_begin(ahead, call->tag, call->window->start + 1, call->ends,
								call->window->samples, false);
	while (slice_reader_next(slices, &slice))
	{
		bool		isnull;
		Datum		values;

		if (slice.period < current)
			continue;
		for (; current < slice.period; current++)
			sample_sink_put(call->sink, call->ends[current], (Datum) 0, true);
		as_of_seek(reader, slice.rows->time[slice.first], &changed);
		values = as_of_values(reader, &isnull);
		sample_sink_put(call->sink, call->ends[current++], values, isnull);
		if (!isnull)
			pfree(DatumGetPointer(values));
	}
	for (; current < call->window->samples; current++)
		sample_sink_put(call->sink, call->ends[current], (Datum) 0, true);
	slice_reader_end(slices);
	leaves_again_end(ahead);
	as_of_end(reader);
}

/*
 * Largest-triangle-three-buckets (Steinarsson, "Downsampling Time Series for Visual
 * Representation", 2013) with buckets of equal time.  It takes the first and the last row and, of
 * each of samples - 2 periods, the row that spans the largest triangle with the row chosen before
 * and the average of the next period that has rows.  Only rows whose value is finite count.
 */
void
method_lttb(const MethodCall *call)
{
	Window		window = window_by_samples(call->window->start, call->window->end,
										   call->window->samples - 2);
	ChosenRows	chosen = {0};
	Bucket		buckets[2] = {0};
	Triangles	triangles = {
		.call = call,
		.chosen = &chosen,
		.full = &buckets[0],
		.filling = &buckets[1],
	};
	Point		pending;		/* the last row so far, which may be the last of all */
	uint32		pending_period = 0;
	uint32		period = 0;		/* of the bucket being filled */
	uint64		npoints = 0;
	int64	   *ends;
	SliceReader *reader;
	RowSlice	slice;

	ends = window_times(&window);
	reader = slice_reader_begin(call->leaves, call->tag, window.start + 1, ends, window.samples,
								true);
	slice_reader_restrict_values(reader, chosen_rows_values(call));
	while (slice_reader_next(reader, &slice))
	{
		chosen_rows_see(&chosen, call, &slice);
		for (uint32 row = slice.first; row < slice.first + slice.nrows; row++)
		{
			Point		point = row_point(call, &slice, row);

			if (!isfinite(point.y))
				continue;
			if (npoints == 0)
			{
				chosen_rows_add(&chosen, point.time);
				triangles.former = point;
			}
			else if (npoints > 1)
			{
				if (pending_period != period)
					bucket_full(&triangles);
				period = pending_period;
				bucket_add(triangles.filling, &pending);
			}
			pending = point;
			pending_period = slice.period;
			npoints++;
		}
	}
	if (npoints > 1)
	{
		bucket_full(&triangles);
		choose_largest(&triangles, pending.x, pending.y);
		chosen_rows_add(&chosen, pending.time);
	}
	if (triangles.again != NULL)
		leaves_again_end(triangles.again);
	slice_reader_end(reader);
	chosen_rows_put(&chosen, call);
}

/* Returns a row as a point, whose y is NaN if the row has no such value. */
static Point
row_point(const MethodCall *call, const RowSlice *slice, uint32 row)
{
	const Window *window = call->window;
	int64		time = slice->rows->time[row];
	Point		point = {.time = time};

	point.x = (double) ((uint64) time - (uint64) window->start) /
		(double) ((uint64) window->end - (uint64) window->start);
	if (!chosen_rows_value(call, slice->rows, row, &point.y))
		point.y = NAN;
	return point;
}

static void
points_add(Points *points, const Point *point)
{
	if (points->npoints == points->capacity)
	{
		points->capacity = Max(64, points->capacity * 2);
		points->points = points->points == NULL
			? palloc_array(Point, points->capacity)
			: repalloc_huge(points->points, points->capacity * sizeof(Point));
	}
	points->points[points->npoints++] = *point;
}

/* Adds a point to the upper (side 1) or lower (side -1) hull, by Andrew's monotone chain. */
static void
hull_add(Points *hull, const Point *point, int side)
{
	while (hull->npoints >= 2)
	{
		const Point *a = &hull->points[hull->npoints - 2];
		const Point *b = &hull->points[hull->npoints - 1];
		Area		turn = (Area) (b->x - a->x) * ((Area) point->y - a->y) -
			((Area) b->y - a->y) * (point->x - a->x);

		/* if overflow has made it NaN, the point is kept */
		if (!(turn * side >= 0))
			break;
		hull->npoints--;
	}
	points_add(hull, point);
}

static void
bucket_add(Bucket *bucket, const Point *point)
{
	if (bucket->npoints == 0)
		bucket->first_time = point->time;
	bucket->last_time = point->time;
	if (!bucket->too_many)
	{
		hull_add(&bucket->upper, point, 1);
		hull_add(&bucket->lower, point, -1);
		bucket->too_many = Max(bucket->upper.npoints, bucket->lower.npoints) > MAX_CORNERS;
	}
	bucket->sum_x += point->x;
	double_sum_add(&bucket->sum_y, point->y);
	bucket->npoints++;
}

static void
bucket_clear(Bucket *bucket)
{
	bucket->upper.npoints = 0;
	bucket->lower.npoints = 0;
	bucket->too_many = false;
	bucket->sum_x = 0;
	bucket->sum_y = (DoubleSum) {0};
	bucket->npoints = 0;
}

/* Completes the bucket being filled, with whose average the full one chooses its point. */
static void
bucket_full(Triangles *triangles)
{
	Bucket	   *complete = triangles->filling;

	if (complete->npoints == 0)
		return;
	choose_largest(triangles, complete->sum_x / complete->npoints,
				   double_sum_quotient(&complete->sum_y, complete->npoints));
	triangles->filling = triangles->full;
	triangles->full = complete;
	bucket_clear(triangles->filling);
}

/* Chooses from the full bucket, if it holds any points. */
static void
choose_largest(Triangles *triangles, double next_x, double next_y)
{
	Bucket	   *bucket = triangles->full;
	const Points *hulls[] = {&bucket->upper, &bucket->lower};
	Largest		largest = {
		.former = triangles->former,
		.next_x = next_x,
		.next_y = next_y,
		.area = -1,
	};

	if (bucket->too_many)
		consider_again(triangles, bucket, &largest);
	else
	{
		for (int i = 0; i < lengthof(hulls); i++)
		{
			for (uint32 j = 0; j < hulls[i]->npoints; j++)
				consider(&largest, &hulls[i]->points[j]);
		}
	}
	if (!largest.any)
		return;
	chosen_rows_add(triangles->chosen, largest.best.time);
	triangles->former = largest.best;
	bucket_clear(bucket);
}

/* Takes a point if its triangle is larger, or as large and the point earlier. */
static void
consider(Largest *largest, const Point *point)
{
	const Point *former = &largest->former;
	Area		area = fabsl((former->x - largest->next_x) * ((Area) point->y - former->y) -
							 (former->x - point->x) * ((Area) largest->next_y - former->y));

	if (largest->any && !(area > largest->area) &&
		!(area == largest->area && point->time < largest->best.time))
		return;
	largest->area = isnan(area) ? largest->area : area;
	largest->best = *point;
	largest->any = true;
}

/* Considers all points of a bucket, which are read once more. */
static void
consider_again(Triangles *triangles, const Bucket *bucket, Largest *largest)
{
	const MethodCall *call = triangles->call;
	SliceReader *reader;
	RowSlice	slice;

	if (triangles->again == NULL)
		triangles->again = leaves_again(call->leaves);
	reader = slice_reader_begin(triangles->again, call->tag, bucket->first_time,
								&bucket->last_time, 1, true);
	slice_reader_restrict_values(reader, chosen_rows_values(call));
	while (slice_reader_next(reader, &slice))
	{
		for (uint32 row = slice.first; row < slice.first + slice.nrows; row++)
		{
			Point		point = row_point(call, &slice, row);

			if (isfinite(point.y))
				consider(largest, &point);
		}
	}
	slice_reader_end(reader);
}
