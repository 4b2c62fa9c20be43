/*
 * codec_huffman_plan.c
 *	  Chooses codes for differences, if they are worth it, and writes them.
 *
 * Classes that are half as wide as differences usually are cost little, because the differences
 * within one are about equally likely; classes that hold one difference each cost nothing.  So the
 * width of classes is guessed from a sample, and then everything follows from counting.
 */
#include "codec/codec_huffman_plan.h"

#include "codec/codec.h"
#include "codec/codec_code.h"

#define GROUP_ROWS CODEC_CODE_GROUP_ROWS
#define MAX_GROUPS (CODEC_MAX_ROWS / GROUP_ROWS)
#define MAX_CLASSES CODEC_CODE_MAX_CLASSES
#define MAX_SYMBOLS CODEC_CODE_MAX_SYMBOLS
#define MAX_CLASS_BITS CODEC_CODE_MAX_CLASS_BITS

/* The greatest difference of no class, less the step; classes before the first used one add to it. */
#define MAX_OTHER ((INT64_C(1) << (CODEC_CODE_MAX_OTHER_BITS - 2)) - 1)

/* Fewer rows are not worth a table. */
#define MIN_ROWS 256

/* A stream must be smaller than another one by this part of its bytes. */
#define WORTH_PART 10

/*
 * The differences of which it is guessed whether codes are worth a closer look: first a few next to
 * each other, which tell that many columns are not, and then more.
 */
#define FEW_ROWS 16
#define SAMPLE_ROWS 64

/*
 * If all differences between the least and the greatest one are as likely, their mean distance from
 * any of them is a quarter of the range or more.  From this part of the range on, they are taken to
 * be so.
 */
#define EQUAL_PART 6

/* Fixed-point logarithms are in these parts of a bit. */
#define LOG_PARTS 16

/* A code as it is stored, with its first bit in the lowest one. */
typedef struct StoredCode
{
	uint8_t		bits;
	uint8_t		length;
} StoredCode;

/* All that is written before the codes, and what they are. */
typedef struct HuffmanPlan
{
	CodecCode	code;
	uint64_t	step;
	uint32_t	code_bits;		/* of all codes together */
	StoredCode	stored[MAX_SYMBOLS];
	uint64_t	anchor[MAX_GROUPS];
	uint64_t	size[MAX_GROUPS];
} HuffmanPlan;

/* A base-2 logarithm in LOG_PARTS of a bit, rounded down; that of 0 is 0. */
static inline uint32_t
log_parts(uint64_t number)
{
	unsigned	bits = bits_needed(number);

	if (number == 0)
		return 0;
	return LOG_PARTS * (bits - 1) +
		(uint32_t) ((number << (64 - bits) << 1) >> 60) * LOG_PARTS / 16;
}

static inline uint64_t
magnitude(uint64_t difference)
{
	return (int64_t) difference < 0 ? 0 - difference : difference;
}

/* Difference i of count that are spread over the rows. */
static inline uint64_t
sample_difference(const uint64_t *numbers, uint32_t nrows, uint32_t i, uint32_t count)
{
	uint32_t	row = 1 + (uint32_t) ((uint64_t) i * (nrows - 1) / count);

	return numbers[row] - numbers[row - 1];
}

static inline int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t
greatest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline int64_t
median(int64_t a, int64_t b, int64_t c)
{
	return greatest(least(a, b), least(greatest(a, b), c));
}

/* The median of the difference first and the two after it, of count that are spread over the rows. */
static int64_t
sample_median(const uint64_t *numbers, uint32_t nrows, uint32_t first, uint32_t count)
{
	return median((int64_t) sample_difference(numbers, nrows, first, count),
				  (int64_t) sample_difference(numbers, nrows, first + 1, count),
				  (int64_t) sample_difference(numbers, nrows, first + 2, count));
}

/*
 * Guesses the median difference: the median of the medians of three times three.  Unlike the mean,
 * jumps do not move it.
 */
static uint64_t
middle_difference(const uint64_t *numbers, uint32_t nrows)
{
	return (uint64_t) median(sample_median(numbers, nrows, 0, 9), sample_median(numbers, nrows, 3, 9),
							 sample_median(numbers, nrows, 6, 9));
}

/*
 * Does a look at a few differences say that all between the least and the greatest one are about as
 * likely?  A jump among them does not count for much, because it is at most as large as the range.
 */
static bool
seem_equally_likely(const uint64_t *numbers, uint32_t nrows, uint64_t range)
{
	const uint64_t *number = numbers + nrows / 2;
	uint64_t	middle;
	uint64_t	sum = 0;

	if (range >> 56 != 0)
		return false;			/* the sum might overflow */
	middle = (uint64_t) sample_median(numbers, nrows, 0, 3);
	for (uint32_t i = 0; i < FEW_ROWS; i++)
		sum += magnitude(number[i + 1] - number[i] - middle);
	return sum > FEW_ROWS * range / EQUAL_PART;
}

/*
 * Returns the mean number of bits of the distances of sampled differences from a middle, in
 * LOG_PARTS of a bit.
 */
static uint32_t
mean_bits(const uint64_t *numbers, uint32_t nrows, uint64_t middle)
{
	uint32_t	bits = 0;

	for (uint32_t i = 0; i < SAMPLE_ROWS; i++)
		bits += bits_needed(magnitude(sample_difference(numbers, nrows, i, SAMPLE_ROWS) - middle));
	return bits * LOG_PARTS / SAMPLE_ROWS;
}

static inline uint32_t
symbol_of(const CodecCode *code, uint64_t from_step)
{
	uint64_t	class = from_step >> code->class_bits;

	return class < code->nclasses ? (uint32_t) class : code->nclasses;
}

/*
 * Chooses classes for differences that are at the given distance from a middle on average.  Classes
 * are half as wide as that, so that they reach to 32 times it, or narrower where they still cover all
 * differences.
 */
static void
choose_classes(HuffmanPlan *plan, const CodecStats *stats, uint64_t middle, uint32_t distance)
{
	CodecCode  *code = &plan->code;
	uint64_t	range = (uint64_t) stats->greatest_step - (uint64_t) stats->least_step;
	uint32_t	bits = distance / LOG_PARTS;
	uint32_t	covering = bits_needed(range / MAX_CLASSES);

	bits = bits > 1 ? bits - 1 : 0;
	bits = bits < covering ? bits : covering;
	code->class_bits = (uint8_t) (bits < MAX_CLASS_BITS ? bits : MAX_CLASS_BITS);
	code->nclasses = MAX_CLASSES;
	plan->step = (uint64_t) stats->least_step;
	if (range >> code->class_bits >= MAX_CLASSES)
		plan->step = ((middle >> code->class_bits) - MAX_CLASSES / 2)
			<< code->class_bits;
}

/*
 * Counts how often each symbol occurs, and leaves out the classes before the first and after the
 * last one that does.  Returns false if differences of no class are too wide.
 */
static bool
count_symbols(HuffmanPlan *plan, const uint64_t *numbers, uint32_t nrows, uint32_t *count)
{
	CodecCode  *code = &plan->code;
	int64_t		lowest = 0;		/* of the differences of no class, less the step */
	int64_t		highest = 0;
	uint32_t	first = 0;
	uint32_t	others;

	memset(count, 0, MAX_SYMBOLS * sizeof(*count));
	for (uint32_t from = 0; from < nrows; from += GROUP_ROWS)
	{
		uint32_t	end = nrows - from < GROUP_ROWS ? nrows : from + GROUP_ROWS;

		for (uint32_t row = from + 1; row < end; row++)
		{
			uint64_t	from_step = numbers[row] - numbers[row - 1] - plan->step;
			uint32_t	symbol = symbol_of(code, from_step);

			count[symbol]++;
			if (symbol == code->nclasses)
			{
				lowest = least(lowest, (int64_t) from_step);
				highest = greatest(highest, (int64_t) from_step);
			}
		}
	}

	others = count[code->nclasses];
	while (code->nclasses > 1 && count[code->nclasses - 1] == 0)
		code->nclasses--;
	while (first + 1 < code->nclasses && count[first] == 0)
		first++;
	memmove(count, count + first, (code->nclasses - first) * sizeof(*count));
	code->nclasses -= first;
	count[code->nclasses] = others;
	plan->step += (uint64_t) first << code->class_bits;
	if (others == 0)
		return true;

	if (lowest < -MAX_OTHER || highest > MAX_OTHER)
		return false;
	lowest -= (int64_t) first << code->class_bits;
	highest -= (int64_t) first << code->class_bits;
	code->other_bits =
		(uint8_t) (1 + bits_needed((uint64_t) (lowest < 0 ? ~lowest : lowest) |
								   (uint64_t) (highest < 0 ? ~highest : highest)));
	return true;
}

/*
 * Gives each symbol its code: shorter codes come first, and those of one length in the order of the
 * symbols.
 */
static void
store_codes(const CodecCode *code, StoredCode *stored)
{
	uint32_t	next = 0;

	for (uint32_t length = 1; length <= CODEC_CODE_BITS; length++, next <<= 1)
		for (uint32_t i = 0; i < codec_code_symbols(code); i++)
			if (code->length[i] == length)
				stored[i] = (StoredCode) {
					.bits = codec_code_stored(next++, length),
					.length = (uint8_t) length,
				};
}

/* Gives a code to each symbol that occurs.  Returns false if there is only one. */
static bool
choose_codes(HuffmanPlan *plan, const uint32_t *count)
{
	CodecCode  *code = &plan->code;
	uint8_t		order[MAX_SYMBOLS];
	uint32_t	n = 0;

	for (uint32_t symbol = 0; symbol < codec_code_symbols(code); symbol++)
	{
		uint32_t	at = n;

		if (count[symbol] == 0)
			continue;
		for (; at > 0 && count[order[at - 1]] > count[symbol]; at--)
			order[at] = order[at - 1];
		order[at] = (uint8_t) symbol;
		n++;
	}
	if (n < 2)
		return false;
	codec_code_set_lengths(code, count, order, n);
	store_codes(code, plan->stored);
	return true;
}

/* Measures the groups: how far their anchors are from each other, and what their codes take. */
static void
measure_groups(HuffmanPlan *plan, const uint64_t *numbers, uint32_t nrows)
{
	CodecCode  *code = &plan->code;
	uint32_t	steps = codec_code_group_steps(nrows);
	int64_t		least_step = INT64_MAX;
	uint64_t	widest_step = 0;
	uint64_t	widest_size = 0;
	uint8_t		symbol_bits[MAX_SYMBOLS] = {0};

	for (uint32_t symbol = 0; symbol < codec_code_symbols(code); symbol++)
		symbol_bits[symbol] = (uint8_t) (code->length[symbol] +
										 codec_code_rest_bits(code, symbol));
	code->least_size = UINT64_MAX;
	for (uint32_t group = 0; group <= steps; group++)
	{
		const uint64_t *number = numbers + (size_t) group * GROUP_ROWS;
		uint32_t	rows = nrows - group * GROUP_ROWS < GROUP_ROWS
			? nrows - group * GROUP_ROWS : GROUP_ROWS;
		uint64_t	bits = 0;

		for (uint32_t row = 1; row < rows; row++)
			bits += symbol_bits[symbol_of(code, number[row] - number[row - 1] - plan->step)];
		plan->code_bits += (uint32_t) bits;
		plan->size[group] = bits;
		if (group == steps)
			break;
		plan->anchor[group] = number[GROUP_ROWS] - number[0];
		least_step = least(least_step, (int64_t) plan->anchor[group]);
		if (bits < code->least_size)
			code->least_size = bits;
	}
	code->anchor_step = (uint64_t) least_step;
	for (uint32_t group = 0; group < steps; group++)
	{
		plan->anchor[group] -= code->anchor_step;
		widest_step |= plan->anchor[group];
		plan->size[group] -= code->least_size;
		widest_size |= plan->size[group];
	}
	code->anchor_width = (uint8_t) bits_packed_width(widest_step);
	code->size_width = (uint8_t) bits_needed(widest_size);
}

/* Makes a plan, or returns false if the differences are too wide or all alike. */
static bool
make_plan(HuffmanPlan *plan, const CodecStats *stats, const uint64_t *numbers, uint64_t middle,
		  uint32_t distance)
{
	uint32_t	count[MAX_SYMBOLS];

	memset(plan, 0, offsetof(HuffmanPlan, anchor));
	choose_classes(plan, stats, middle, distance);
	if (!count_symbols(plan, numbers, stats->nrows, count) || !choose_codes(plan, count))
		return false;
	measure_groups(plan, numbers, stats->nrows);
	return true;
}

static size_t
data_bytes(const HuffmanPlan *plan, uint32_t nrows)
{
	const CodecCode *code = &plan->code;
	uint32_t	steps = codec_code_group_steps(nrows);

	return codec_code_bytes(code) + bits_packed_bytes(steps, code->anchor_width) +
		bits_packed_bytes(steps, code->size_width) + (plan->code_bits + 7) / 8;
}

bool
codec_huffman_plan(CodecStream *stream, const CodecStats *stats, const uint64_t *numbers,
				   size_t bytes)
{
	uint64_t	range = (uint64_t) stats->greatest_step - (uint64_t) stats->least_step;
	uint32_t	nrows = stats->nrows;
	uint32_t	equal_bits = log_parts(range < UINT64_MAX ? range + 1 : range);
	uint32_t	most_bits;
	uint64_t	middle;
	uint32_t	distance;
	HuffmanPlan plan;

	if (nrows < MIN_ROWS)
		return false;

	/*
	 * Differences that are all as likely take equal_bits, and their mean distance from the middle
	 * has two bits less.  As many bits as it has less than that, they take less.
	 */
	bytes -= bytes / WORTH_PART;
	most_bits = (uint32_t) least((int64_t) (bytes * 8 * LOG_PARTS / nrows), UINT32_MAX);
	if (equal_bits > most_bits && seem_equally_likely(numbers, nrows, range))
		return false;
	middle = middle_difference(numbers, nrows);
	distance = mean_bits(numbers, nrows, middle);
	if ((equal_bits > most_bits && distance + 2 * LOG_PARTS > most_bits) ||
		!make_plan(&plan, stats, numbers, middle, distance))
		return false;

	*stream = (CodecStream) {
		.scheme = CODEC_HUFFMAN,
		.nrows = nrows,
		.count = (uint32_t) data_bytes(&plan, nrows),
		.base = numbers[0],
		.step = plan.step,
	};
	return stream->count <= bytes;
}

/* Bits on their way into bytes. */
typedef struct BitWriter
{
	uint8_t    *dst;
	uint64_t	word;
	unsigned	filled;
} BitWriter;

/* Writes at most 56 bits. */
static inline void
put_bits(BitWriter *writer, uint64_t bits, unsigned count)
{
	writer->word |= bits << writer->filled;
	writer->filled += count;
	for (; writer->filled >= 8; writer->filled -= 8)
	{
		*writer->dst++ = (uint8_t) writer->word;
		writer->word >>= 8;
	}
}

static uint8_t *
write_codes(const HuffmanPlan *plan, const uint64_t *numbers, uint32_t nrows, uint8_t *dst)
{
	const CodecCode *code = &plan->code;
	BitWriter	writer = {.dst = dst};

	for (uint32_t row = 1; row < nrows; row++)
	{
		uint64_t	from_step;
		uint64_t	rest;
		uint32_t	symbol;
		unsigned	rest_bits;

		/* an anchor, whose difference may have no code */
		if (row % GROUP_ROWS == 0)
			continue;
		from_step = numbers[row] - numbers[row - 1] - plan->step;
		symbol = symbol_of(code, from_step);
		rest_bits = codec_code_rest_bits(code, symbol);
		rest = from_step - (uint64_t) codec_code_base(code, symbol);
		put_bits(&writer, plan->stored[symbol].bits | rest << plan->stored[symbol].length,
				 plan->stored[symbol].length + rest_bits);
	}
	if (writer.filled > 0)
		*writer.dst++ = (uint8_t) writer.word;
	return writer.dst;
}

/* Makes the same plan again. */
uint8_t *
codec_huffman_write(const CodecStream *stream, const uint64_t *numbers, const CodecStats *stats,
					uint8_t *dst)
{
	uint32_t	nrows = stream->nrows;
	uint32_t	steps = codec_code_group_steps(nrows);
	uint64_t	middle = middle_difference(numbers, nrows);
	HuffmanPlan plan;

	(void) make_plan(&plan, stats, numbers, middle,
					 mean_bits(numbers, nrows, middle));
	dst = codec_code_write(&plan.code, dst);
	dst = bits_pack(dst, plan.code.anchor_width, plan.anchor, steps);
	dst = bits_pack(dst, plan.code.size_width, plan.size, steps);
	return write_codes(&plan, numbers, nrows, dst);
}
