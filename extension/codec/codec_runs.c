/*
 * codec_runs.c
 *	  Runs of equal numbers: the row at which each run begins, and its number.
 *
 * The first run begins at row 0, which is not stored.  Numbers are compared as integers, so that
 * doubles that compare as equal but differ in their bits, such as +0.0 and -0.0, are different
 * runs.
 */
#include "codec/codec_runs.h"

#include "codec/codec_for.h"

static const uint8_t *
run_values(const CodecStream *stream)
{
	return stream->data + bits_packed_bytes(stream->count - 1, stream->index_width);
}

/* The row at which a run, other than the first, begins. */
static uint32_t
run_start(const CodecStream *stream, uint32_t run)
{
	return (uint32_t) bits_get(stream->data, stream->last, stream->index_width, run - 1);
}

static uint32_t
run_of_row(const CodecStream *stream, uint32_t row)
{
	uint32_t	run = 0;
	uint32_t	count = stream->count;

	/* without a branch, which the processor would mispredict half of the time */
	while (count > 1)
	{
		uint32_t	half = count / 2;

		run += run_start(stream, run + half) <= row ? half : 0;
		count -= half;
	}
	return run;
}

uint64_t
codec_runs_get(const CodecStream *stream, uint32_t row)
{
	return stream->base +
		bits_get(run_values(stream), stream->last, stream->width, run_of_row(stream, row));
}

void
codec_runs_decode(const CodecStream *stream, uint32_t first, uint32_t count, uint64_t *dst)
{
	const uint8_t *values = run_values(stream);
	uint32_t	run = run_of_row(stream, first);
	uint32_t	row = first;

	while (row < first + count)
	{
		uint64_t	number = stream->base + bits_get(values, stream->last, stream->width, run);
		uint32_t	end = first + count;

		/* in a corrupt block a run may end before it begins; rows move on all the same */
		run++;
		if (run < stream->count && run_start(stream, run) < end)
			end = run_start(stream, run);
		for (; row < end; row++)
			*dst++ = number;
	}
}

bool
codec_runs_ascend(const CodecStream *stream)
{
	uint32_t	former = 0;

	for (uint32_t run = 1; run < stream->count; run++)
	{
		uint32_t	start = run_start(stream, run);

		if (start <= former || start >= stream->nrows)
			return false;
		former = start;
	}
	return true;
}

void
codec_runs_plan(CodecStream *stream, const CodecStats *stats)
{
	codec_for_plan(stream, stats);
	stream->scheme = CODEC_RUNS;
	stream->index_width = (uint8_t) bits_needed(stats->nrows - 1);
	stream->count = stats->nruns;
}

uint8_t *
codec_runs_write(const CodecStream *stream, const uint64_t *numbers, uint8_t *dst)
{
	uint8_t    *values = dst + bits_packed_bytes(stream->count - 1, stream->index_width);
	uint64_t	starts[256];
	uint64_t	held[256];
	uint32_t	row = 0;
	uint32_t	count;

	/* 256 runs take whole bytes in both arrays; starts[] has the starts of the runs that follow */
	for (uint32_t first = 0; first < stream->count; first += count)
	{
		count = 0;
		while (count < 256 && row < stream->nrows)
		{
			held[count] = numbers[row] - stream->base;
			do
				row++;
			while (row < stream->nrows && numbers[row] == numbers[row - 1]);
			starts[count++] = row;
		}
		values = bits_pack(values, stream->width, held, count);
		dst = bits_pack(dst, stream->index_width, starts,
						row < stream->nrows ? count : count - 1);
	}
	return values;
}
