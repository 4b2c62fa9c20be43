/*
 * method_lttb.c
 *	  The methods that keep the rows which shape a curve: largest-triangle-three-buckets.
 *
 * lttb looks at all rows, and minmaxlttb only at the least and the greatest of many periods, which
 * it reads from summaries.
 */
#include "postgres.h"

#include "read/method_lttb.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "read/as_of.h"
#include "read/chosen_rows.h"
#include "read/extremes.h"
#include "read/slice_reader.h"
#include "store/reduction.h"

/* The most corners that a period's upper or lower hull keeps. */
#define MAX_CORNERS 16384

/* The paper has twice as many periods, of two rows each, as there are to be samples. */
#define PRESELECTED_PERIODS 2

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
	ChosenRows	chosen;
	Point		former;			/* the point chosen last */
	Bucket		buckets[2];
	Bucket	   *full;			/* complete; waits for the average of the next one */
	Bucket	   *filling;
	uint32		period;			/* of the bucket that is being filled */
	Point		last;			/* so far; it is in no bucket, as it may be the last of all */
	uint32		last_period;
	uint64		npoints;
} Triangles;

/* The rows that minmaxlttb looks at. */
typedef struct Preselection
{
	const MethodCall *call;
	Points		kept;
	bool		any;
	int64		first_time;		/* of all rows so far */
	int64		last_time;
} Preselection;

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

static Window bucket_window(const MethodCall *call);
static void preselect(void *argument, const PeriodExtremes *period);
static void keep(Preselection *preselection, const Point *point);
static Point end_point(const MethodCall *call, int64 time);
static void triangles_begin(Triangles *triangles, const MethodCall *call);
static void triangles_add(Triangles *triangles, const Point *point, uint32 period);
static void triangles_end(Triangles *triangles);
static Point make_point(const MethodCall *call, int64 time, double value);
static Point row_point(const MethodCall *call, const RowSlice *slice, uint32 row);
static void points_add(Points *points, const Point *point);
static void hull_add(Points *hull, const Point *point, int side);
static void bucket_add(Bucket *bucket, const Point *point);
static void bucket_clear(Bucket *bucket);
static void bucket_full(Triangles *triangles);
static void choose_largest(Triangles *triangles, double next_x, double next_y);
static void consider(Largest *largest, const Point *point);
static void consider_again(Triangles *triangles, const Bucket *bucket, Largest *largest);

/*
 * Largest-triangle-three-buckets (Steinarsson, "Downsampling Time Series for Visual
 * Representation", 2013) with buckets of equal time.  It takes the first and the last row and, of
 * each of samples - 2 periods, the row that spans the largest triangle with the row chosen before
 * and the average of the next period that has rows.  Only rows whose value is finite count.
 */
void
method_lttb(const MethodCall *call)
{
	Triangles	triangles;
	int64	   *ends;
	Window		window = bucket_window(call);
	SliceReader *reader;
	RowSlice	slice;

	triangles_begin(&triangles, call);
	ends = window_times(&window);
	reader = slice_reader_begin(call->leaves, call->tag, window.start + 1, ends, window.samples,
								true);
	slice_reader_restrict_values(reader, chosen_rows_values(call));
	while (slice_reader_next(reader, &slice))
	{
		chosen_rows_see(&triangles.chosen, call, &slice);
		for (uint32 row = slice.first; row < slice.first + slice.nrows; row++)
		{
			Point		point = row_point(call, &slice, row);

			if (isfinite(point.y))
				triangles_add(&triangles, &point, slice.period);
		}
	}
	slice_reader_end(reader);
	triangles_end(&triangles);
}

/*
 * MinMaxLTTB (Van Der Donckt and others, "MinMaxLTTB: Leveraging MinMax-Preselection to Scale
 * LTTB", 2023), with buckets of equal time.  It does what lttb does, but of all rows it looks only
 * at the first and the last one, and at those with the least and the greatest value of each of
 * PRESELECTED_PERIODS * (samples - 2) periods.
 */
void
method_minmaxlttb(const MethodCall *call)
{
	Window		buckets = bucket_window(call);
	Window		fine = buckets;
	Triangles	triangles;
	Preselection preselection = {.call = call};
	const Points *kept = &preselection.kept;
	int64	   *ends = window_times(&buckets);
	uint32		period = 0;

	fine.samples *= PRESELECTED_PERIODS;
	triangles_begin(&triangles, call);
	extremes_read(call, &fine, true, &triangles.chosen, preselect, &preselection);
	if (preselection.any && preselection.first_time < kept->points[0].time)
	{
		Point		first = end_point(call, preselection.first_time);

		/* its period is of no account, as it is chosen in any case */
		triangles_add(&triangles, &first, 0);
	}
	for (uint32 i = 0; i < kept->npoints; i++)
	{
		const Point *point = &kept->points[i];

		while (point->time > ends[period])
			period++;
		triangles_add(&triangles, point, period);
	}
	if (preselection.any && preselection.last_time > kept->points[kept->npoints - 1].time)
	{
		Point		last = end_point(call, preselection.last_time);

		triangles_add(&triangles, &last, buckets.samples - 1);
	}
	triangles_end(&triangles);
}

/* The window, cut into the periods of which a row is chosen each. */
static Window
bucket_window(const MethodCall *call)
{
	return window_by_samples(call->window->start, call->window->end, call->window->samples - 2);
}

/* Keeps the rows with the least and the greatest value of a period. */
static void
preselect(void *argument, const PeriodExtremes *period)
{
	Preselection *preselection = argument;
	Point		least = make_point(preselection->call, period->least_time, period->least);
	Point		greatest = make_point(preselection->call, period->greatest_time, period->greatest);
	bool		falls = greatest.time < least.time;

	if (!preselection->any)
		preselection->first_time = period->first_time;
	preselection->any = true;
	preselection->last_time = period->last_time;
	keep(preselection, falls ? &greatest : &least);
	keep(preselection, falls ? &least : &greatest);
}

/* Keeps a point, unless it is the one that was kept before it. */
static void
keep(Preselection *preselection, const Point *point)
{
	const Points *kept = &preselection->kept;

	if (kept->npoints == 0 || kept->points[kept->npoints - 1].time != point->time)
		points_add(&preselection->kept, point);
}

/*
 * Reads the first or the last row, whose value the extremes need not tell.  Not while these are
 * being read, as both use the cursors of call->leaves.
 */
static Point
end_point(const MethodCall *call, int64 time)
{
	AsOfReader *reader = as_of_begin(call->leaves);
	int			subscript = (int) call->value + 1;
	bool		changed;
	bool		isnull;
	Datum		values;
	Datum		value;

	as_of_start(reader, call->tag, call->window->end);
	as_of_seek(reader, time, &changed);
	values = as_of_values(reader, &isnull);
	Assert(!isnull);
	value = array_get_element(values, 1, &subscript, -1, sizeof(float8), FLOAT8PASSBYVAL,
							  TYPALIGN_DOUBLE, &isnull);
	Assert(!isnull);
	as_of_end(reader);
	return make_point(call, time, DatumGetFloat8(value));
}

static void
triangles_begin(Triangles *triangles, const MethodCall *call)
{
	memset(triangles, 0, sizeof(*triangles));
	triangles->call = call;
	triangles->full = &triangles->buckets[0];
	triangles->filling = &triangles->buckets[1];
}

/* Adds a point of a bucket; points come in order of time. */
static void
triangles_add(Triangles *triangles, const Point *point, uint32 period)
{
	if (triangles->npoints == 0)
	{
		chosen_rows_add(&triangles->chosen, point->time);
		triangles->former = *point;
	}
	else if (triangles->npoints > 1)
	{
		if (triangles->last_period != triangles->period)
			bucket_full(triangles);
		triangles->period = triangles->last_period;
		bucket_add(triangles->filling, &triangles->last);
	}
	triangles->last = *point;
	triangles->last_period = period;
	triangles->npoints++;
}

/* Chooses the last points and puts all chosen rows. */
static void
triangles_end(Triangles *triangles)
{
	if (triangles->npoints > 1)
	{
		bucket_full(triangles);
		choose_largest(triangles, triangles->last.x, triangles->last.y);
		chosen_rows_add(&triangles->chosen, triangles->last.time);
	}
	if (triangles->again != NULL)
		leaves_again_end(triangles->again);
	chosen_rows_put(&triangles->chosen, triangles->call);
}

/* Returns a row as a point, whose y is NaN if the row has no such value. */
static Point
row_point(const MethodCall *call, const RowSlice *slice, uint32 row)
{
	double		value;

	if (!chosen_rows_value(call, slice->rows, row, &value))
		value = NAN;
	return make_point(call, slice->rows->time[row], value);
}

static Point
make_point(const MethodCall *call, int64 time, double value)
{
	const Window *window = call->window;

	return (Point) {
		.time = time,
		.x = (double) ((uint64) time - (uint64) window->start) /
			(double) ((uint64) window->end - (uint64) window->start),
		.y = value,
	};
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
	chosen_rows_add(&triangles->chosen, largest.best.time);
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
