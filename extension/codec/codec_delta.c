/*
 * codec_delta.c
 *	  Differences, with an anchor in every 32 rows so that a number is at most 16 additions away.
 *
 * In a stream of more than 32 rows, rows form groups of 32.  Each group has an *anchor*: the number
 * of the group's 17th row, or of its last row if it has fewer.  Every row has a slot of `width`
 * bits.  It holds the difference from the row before, less `step`, which is at most the smallest
 * difference.  The slot of a group's first row instead holds the low bits of the group's anchor less `base`, the smallest
 * anchor; the high bits of the anchors are in an array of their own before the slots.  So an anchor
 * takes only the bits by which it is wider than a difference, and the group's other numbers follow
 * from it in both directions.
 *
 * A stream of at most 32 rows has only one anchor, row 0, which is the base and has no slot.
 *
 * If all differences are the same, the width is 0 and there is no data: row r is base + r * step.
 */
#include "codec/codec_delta.h"

#define GROUP_ROWS	CODEC_GROUP_ROWS
#define ANCHOR_AT	CODEC_ANCHOR_AT

static inline bool
has_one_anchor(const CodecStream *stream)
{
	return stream->nrows <= GROUP_ROWS;
}

static inline uint32_t
group_count(const CodecStream *stream)
{
	return (stream->nrows + GROUP_ROWS - 1) / GROUP_ROWS;
}

static inline uint32_t
group_rows(const CodecStream *stream, uint32_t first)
{
	return stream->nrows - first < GROUP_ROWS ? stream->nrows - first : GROUP_ROWS;
}

/* The row of the anchor within a group of this length. */
static inline uint32_t
anchor_at(uint32_t rows)
{
	return rows > ANCHOR_AT ? ANCHOR_AT : rows - 1;
}

static inline const uint8_t *
slots(const CodecStream *stream)
{
	return stream->data + bits_packed_bytes(group_count(stream), stream->high_width);
}

/* A group's anchor, from the group's first slot and the anchor's high bits. */
static inline uint64_t
anchor_number(const CodecStream *stream, uint64_t slot, uint32_t group)
{
	if (stream->high_width > 0)
		slot |= bits_get(stream->data, stream->last, stream->high_width, group) << stream->width;
	return stream->base + slot;
}

static inline uint64_t
anchor(const CodecStream *stream, const uint8_t *slot, uint32_t group)
{
	return anchor_number(stream, bits_get(slot, stream->last, stream->width,
										  (size_t) group * GROUP_ROWS), group);
}

/* The sum of the differences in slots from .. from + count - 1. */
static inline uint64_t
sum_slots(const CodecStream *stream, const uint8_t *slot, uint32_t from, uint32_t count)
{
	uint64_t	sum = count * stream->step;
	uint64_t	mask = bits_mask(stream->width);
	size_t		bit = (size_t) from * stream->width;
	size_t		end = bit + (size_t) count * stream->width;

	/* near the end of the block, each read is checked */
	if (slot + (end >> 3) > stream->last)
	{
		for (uint32_t i = 0; i < count; i++)
			sum += bits_get(slot, stream->last, stream->width, (size_t) from + i);
		return sum;
	}
	for (; bit < end; bit += stream->width)
		sum += (bits_load64(slot + (bit >> 3)) >> (bit & 7)) & mask;
	return sum;
}

uint64_t
codec_delta_get(const CodecStream *stream, uint32_t row)
{
	const uint8_t *slot;
	uint32_t	first = row - row % GROUP_ROWS;
	uint32_t	middle;
	uint64_t	number;

	if (stream->width == 0)
		return stream->base + row * stream->step;
	if (has_one_anchor(stream))
		return stream->base + sum_slots(stream, stream->data, 0, row);

	slot = slots(stream);
	middle = first + anchor_at(group_rows(stream, first));
	number = anchor(stream, slot, row / GROUP_ROWS);
	if (row >= middle)
		return number + sum_slots(stream, slot, middle + 1, row - middle);
	return number - sum_slots(stream, slot, row + 1, middle - row);
}

/*
 * Scans ascending numbers forwards from `row`, whose number is `at`, and returns the last row
 * before `end` whose number is at most the given one.  The first slot is that of row `offset`.
 */
static inline uint32_t
scan_forwards(const CodecStream *stream, const uint8_t *slot, uint32_t offset,
			  uint32_t row, uint32_t end, uint64_t at, uint64_t number)
{
	for (; row + 1 < end; row++)
	{
		at += stream->step + bits_get(slot, stream->last, stream->width, row + 1 - offset);
		if (at > number)
			break;
	}
	return row;
}

uint32_t
codec_delta_find(const CodecStream *stream, uint64_t number)
{
	const uint8_t *slot;
	uint32_t	group = 0;		/* the groups whose anchors are at most the number */
	uint32_t	count = group_count(stream);
	uint32_t	first;
	uint32_t	row;
	uint64_t	at;

	if (stream->width == 0)
	{
		uint64_t	steps = stream->step == 0 ? stream->nrows : number / stream->step;

		return steps < stream->nrows ? (uint32_t) steps : stream->nrows - 1;
	}
	if (has_one_anchor(stream))
		return scan_forwards(stream, stream->data, 1, 0, stream->nrows, 0, number);

	slot = slots(stream);
	while (count > 0)
	{
		uint32_t	half = count / 2;

		if (anchor(stream, slot, group + half) <= number)
		{
			group += half + 1;
			count -= half + 1;
		}
		else
			count = half;
	}

	/* the row is in the second half of the last of these groups, */
	if (group > 0)
	{
		first = (group - 1) * GROUP_ROWS;
		row = first + anchor_at(group_rows(stream, first));
		at = anchor(stream, slot, group - 1);
		row = scan_forwards(stream, slot, 0, row, first + group_rows(stream, first), at, number);
		if (row + 1 < first + GROUP_ROWS || group == group_count(stream))
			return row;
	}

	/* or in the first half of the next group; row 0 will do for any smaller number */
	first = group * GROUP_ROWS;
	row = first + anchor_at(group_rows(stream, first));
	at = anchor(stream, slot, group);
	while (row > first && at > number)
	{
		at -= stream->step + bits_get(slot, stream->last, stream->width, row);
		row--;
	}
	return at > number && row > 0 ? row - 1 : row;
}

/*
 * Turns a group's slots into its numbers.  It goes from the anchor in both directions at once: each
 * direction is a chain of additions, and two chains take no longer than one.
 */
static inline void
decode_group(const CodecStream *stream, uint32_t group, uint32_t rows, uint64_t *numbers)
{
	uint32_t	middle = anchor_at(rows);
	uint64_t	step = stream->step;
	uint64_t	before = anchor_number(stream, numbers[0], group);
	uint64_t	after = before;

#pragma GCC unroll 16
	for (uint32_t i = 0; i < middle; i++)
	{
		uint64_t	difference = numbers[middle - i] + step;

		numbers[middle - i] = before;
		before -= difference;
		if (middle + 1 + i < rows)
		{
			after += numbers[middle + 1 + i] + step;
			numbers[middle + 1 + i] = after;
		}
	}
	numbers[0] = before;
}

/* Decodes rows first .. first + count - 1 of a stream with one anchor, whose row 0 has no slot. */
static void
decode_one_group(const CodecStream *stream, uint32_t first, uint32_t count, uint64_t *dst)
{
	uint64_t	numbers[GROUP_ROWS];
	uint64_t	number = stream->base;

	bits_unpack(stream->data, stream->last, stream->width, 0, first + count - 1, numbers + 1);
	numbers[0] = number;
	for (uint32_t i = 1; i < first + count; i++)
	{
		number += numbers[i] + stream->step;
		numbers[i] = number;
	}
	memcpy(dst, numbers + first, count * sizeof(*dst));
}

void
codec_delta_decode(const CodecStream *stream, uint32_t first, uint32_t count, uint64_t *dst)
{
	const uint8_t *slot = slots(stream);

	if (stream->width == 0)
	{
		for (uint32_t i = 0; i < count; i++)
			dst[i] = stream->base + (first + i) * stream->step;
		return;
	}
	if (has_one_anchor(stream))
	{
		decode_one_group(stream, first, count, dst);
		return;
	}

	while (count > 0)
	{
		uint32_t	skip = first % GROUP_ROWS;
		uint32_t	rows = group_rows(stream, first - skip);
		uint32_t	here;

		if (skip > 0 || count < rows)
		{
			/* for a part of a group, all of it is decoded */
			uint64_t	numbers[GROUP_ROWS];

			here = rows - skip < count ? rows - skip : count;
			bits_unpack(slot, stream->last, stream->width, first - skip, rows, numbers);
			decode_group(stream, first / GROUP_ROWS, rows, numbers);
			memcpy(dst, numbers + skip, here * sizeof(*dst));
		}
		else
		{
			/* whole groups are decoded in place */
			here = first + count == stream->nrows ? count : count - count % GROUP_ROWS;
			bits_unpack(slot, stream->last, stream->width, first, here, dst);
			for (uint32_t done = 0; done < here; done += GROUP_ROWS)
			{
				uint32_t	group = (first + done) / GROUP_ROWS;

				/* with a constant number of rows the compiler unrolls the loop */
				if (here - done >= GROUP_ROWS)
					decode_group(stream, group, GROUP_ROWS, dst + done);
				else
					decode_group(stream, group, here - done, dst + done);
			}
		}
		dst += here;
		first += here;
		count -= here;
	}
}

/*
 * Returns a step that takes few bytes: of those that leave no difference negative and none wider
 * than width, it is 0 or, if that is not one of them, the one with the most trailing zeros.
 */
static uint64_t
roundest_step(const CodecStats *stats, unsigned width)
{
	int64_t		most = stats->least_step;
	int64_t		least;
	unsigned	zeros;

	if (width == 0 || width >= 63 ||
		__builtin_sub_overflow(stats->greatest_step, (int64_t) bits_mask(width), &least))
		return (uint64_t) most;
	if (least <= 0 && most >= 0)
		return 0;

	/*
	 * both have one sign, so no step with more zeros than the greater of them has bits is between
	 * them
	 */
	zeros = bits_needed(most > 0 ? (uint64_t) most : -(uint64_t) least);
	for (zeros = zeros < 62 ? zeros : 62; zeros > 0; zeros--)
	{
		int64_t		step = (int64_t) ((uint64_t) (most >> zeros) << zeros);

		if (step >= least)
			return (uint64_t) step;
	}
	return (uint64_t) most;
}

uint64_t
codec_delta_base(const CodecStream *stream, const CodecStats *stats)
{
	return stream->width == 0 || has_one_anchor(stream) ? stats->first : stats->anchor_base;
}

void
codec_delta_plan(CodecStream *stream, const CodecStats *stats)
{
	uint64_t	range = (uint64_t) stats->greatest_step - (uint64_t) stats->least_step;

	*stream = (CodecStream) {
		.scheme = CODEC_DELTA,
		.nrows = stats->nrows,
	};

	/* a width of 0 means that the numbers are a line */
	if (!stats->line)
		stream->width = (uint8_t) bits_packed_width(range | 1);
	stream->step = roundest_step(stats, stream->width);
	if (codec_delta_has_high(stream))
		stream->high_width = (uint8_t) bits_packed_width(stats->anchor_range >> stream->width);
	stream->base = codec_delta_base(stream, stats);
}

uint8_t *
codec_delta_write(const CodecStream *stream, const uint64_t *numbers, uint8_t *dst)
{
	uint64_t	chunk[256];
	uint32_t	count = 0;

	if (stream->width == 0)
		return dst;
	if (has_one_anchor(stream))
	{
		for (uint32_t i = 1; i < stream->nrows; i++)
			chunk[i - 1] = numbers[i] - numbers[i - 1] - stream->step;
		return bits_pack(dst, stream->width, chunk, stream->nrows - 1);
	}

	if (stream->high_width > 0)
	{
		for (uint32_t first = 0; first < stream->nrows; first += GROUP_ROWS)
			chunk[count++] = (numbers[first + anchor_at(group_rows(stream, first))] -
							  stream->base) >> stream->width;
		dst = bits_pack(dst, stream->high_width, chunk, count);
	}

	/* the numbers of a full chunk take whole bytes, whatever the width */
	for (uint32_t first = 0; first < stream->nrows; first += count)
	{
		const uint64_t *number = numbers + first;

		count = stream->nrows - first < 256 ? stream->nrows - first : 256;
		for (size_t i = 1; i < count; i++)
			chunk[i] = number[i] - number[i - 1] - stream->step;
		for (uint32_t i = 0; i < count; i += GROUP_ROWS)
			chunk[i] = number[i + anchor_at(group_rows(stream, first + i))] - stream->base;
		dst = bits_pack(dst, stream->width, chunk, count);
	}
	return dst;
}
