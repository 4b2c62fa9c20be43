/*
 * codec_dict.c
 *	  Dictionary: the distinct numbers, in ascending order, and each row's index among them.
 *
 * It suits quantised measurements (an analogue input of few steps), labels and set points.
 */
#include "codec/codec_dict.h"

#include "codec/codec_for.h"

#define HASH_SLOTS 1024			/* four times the entries, so that probes stay short */
#define SAMPLE_ROWS 64
#define SAMPLE_MOST_DISTINCT 44

typedef struct Dictionary
{
	uint32_t	count;
	uint64_t	entry[CODEC_MAX_DICT];
	uint16_t	slot[HASH_SLOTS];	/* index of the entry + 1, or 0 */
} Dictionary;

static uint32_t
hash(uint64_t number)
{
	/* Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4) */
	return (uint32_t) ((number * UINT64_C(0x9e3779b97f4a7c15)) >> 54);
}

/* Returns the slot that has the number, or the empty slot where it belongs. */
static uint16_t *
dictionary_slot(Dictionary *dictionary, uint64_t number)
{
	uint32_t	at = hash(number);

	while (dictionary->slot[at] != 0 &&
		   dictionary->entry[dictionary->slot[at] - 1] != number)
		at = (at + 1) % HASH_SLOTS;
	return &dictionary->slot[at];
}

/* Collects the distinct numbers; returns false if there are more than `most`. */
static bool
dictionary_fill(Dictionary *dictionary, const uint64_t *numbers, uint32_t nrows, uint32_t most)
{
	dictionary->count = 0;
	memset(dictionary->slot, 0, sizeof(dictionary->slot));
	for (uint32_t i = 0; i < nrows; i++)
	{
		uint16_t   *slot = dictionary_slot(dictionary, numbers[i]);

		if (*slot != 0)
			continue;
		if (dictionary->count == most)
			return false;
		dictionary->entry[dictionary->count++] = numbers[i];
		*slot = (uint16_t) dictionary->count;
	}
	return true;
}

/*
 * Counts the distinct numbers of up to SAMPLE_ROWS rows, for which a hash table is not worth the time
 * to empty it.  Returns 0 if there are more than `most`.
 */
static uint32_t
count_few(const uint64_t *numbers, uint32_t nrows, uint32_t most)
{
	uint64_t	entry[SAMPLE_ROWS];
	uint32_t	count = 0;

	for (uint32_t i = 0; i < nrows; i++)
	{
		uint32_t	at = 0;

		while (at < count && entry[at] != numbers[i])
			at++;
		if (at < count)
			continue;
		if (count == most)
			return 0;
		entry[count++] = numbers[i];
	}
	return count;
}

/*
 * Are there few distinct numbers in a sample of rows?  Counts their distinct hashes.  Up to about
 * 80 equally frequent numbers pass, and more of which some are frequent.
 */
static bool
sample_repeats(const uint64_t *numbers, uint32_t nrows)
{
	uint64_t	seen[HASH_SLOTS / 64] = {0};
	uint32_t	distinct = 0;

	for (uint32_t i = 0; i < SAMPLE_ROWS; i++)
	{
		uint32_t	at = hash(numbers[i * (size_t) nrows / SAMPLE_ROWS]);

		distinct += 1 & ~(seen[at / 64] >> (at % 64));
		seen[at / 64] |= UINT64_C(1) << (at % 64);
	}
	return distinct <= SAMPLE_MOST_DISTINCT;
}

/* Counts the distinct numbers; returns 0 if there are more than `most`, or too many in a sample. */
static uint32_t
count_distinct(const uint64_t *numbers, uint32_t nrows, uint32_t most)
{
	Dictionary	dictionary;

	if (nrows <= SAMPLE_ROWS)
		return count_few(numbers, nrows, most);
	return sample_repeats(numbers, nrows) && dictionary_fill(&dictionary, numbers, nrows, most)
		? dictionary.count : 0;
}

/* Sorts the entries, and sets the slots again. */
static void
dictionary_sort(Dictionary *dictionary)
{
	uint64_t   *entry = dictionary->entry;

	for (uint32_t i = 1; i < dictionary->count; i++)
	{
		uint64_t	number = entry[i];
		uint32_t	at = i;

		for (; at > 0 && (int64_t) entry[at - 1] > (int64_t) number; at--)
			entry[at] = entry[at - 1];
		entry[at] = number;
	}
	memset(dictionary->slot, 0, sizeof(dictionary->slot));
	for (uint32_t i = 0; i < dictionary->count; i++)
		*dictionary_slot(dictionary, entry[i]) = (uint16_t) (i + 1);
}

static const uint8_t *
indexes(const CodecStream *stream)
{
	return stream->data + bits_packed_bytes(stream->count, stream->width);
}

uint64_t
codec_dict_get(const CodecStream *stream, uint32_t row)
{
	uint64_t	index = bits_get(indexes(stream), stream->last, stream->index_width, row);

	/* in a corrupt block, the index may be too large */
	if (index >= stream->count)
		index = stream->count - 1;
	return stream->base + bits_get(stream->data, stream->last, stream->width, index);
}

void
codec_dict_decode(const CodecStream *stream, uint32_t first, uint32_t count, uint64_t *dst)
{
	/*
	 * an index has at most 8 bits; in a corrupt block it may be too large, and gets the last entry
	 */
	uint64_t	entry[CODEC_MAX_DICT];

	codec_for_decode(stream, 0, stream->count, entry);
	for (uint32_t i = stream->count; i < 1u << stream->index_width; i++)
		entry[i] = entry[stream->count - 1];
	bits_unpack(indexes(stream), stream->last, stream->index_width, first, count, dst);
	for (uint32_t i = 0; i < count; i++)
		dst[i] = entry[dst[i]];
}

/*
 * Returns how many entries a dictionary may have at most if it and its indexes are to take less than
 * so many bytes.  For a stream of few rows that is so few that count_distinct() soon exceeds it.
 */
static uint32_t
most_entries(const CodecStream *stream, size_t bytes)
{
	size_t		most = 0;

	if (stream->width == 0)		/* all numbers are the same */
		return 1;
	for (unsigned index_width = 1; index_width <= 8; index_width++)
	{
		size_t		indexes_take = bits_packed_bytes(stream->nrows, index_width);
		size_t		fewest = (1u << (index_width - 1)) + 1; /* that need this width */
		size_t		bits;

		if (indexes_take >= bytes)
			break;
		bits = (bytes - indexes_take) * 8;
		if (bits >= fewest * stream->width)
			most = bits / stream->width;
		if (most > 1u << index_width)
			most = 1u << index_width;
	}
	return (uint32_t) most;
}

bool
codec_dict_plan(CodecStream *stream, const CodecStats *stats, const uint64_t *numbers,
				size_t bytes)
{
	uint32_t	most;
	uint32_t	count;

	codec_for_plan(stream, stats);
	most = most_entries(stream, bytes);
	count = most == 0 ? 0 : count_distinct(numbers, stats->nrows, most);
	if (count == 0)
		return false;
	stream->scheme = CODEC_DICT;
	stream->index_width = (uint8_t) bits_needed(count - 1);
	stream->count = count;
	return true;
}

uint8_t *
codec_dict_write(const CodecStream *stream, const uint64_t *numbers, uint8_t *dst)
{
	Dictionary	dictionary;
	uint64_t	chunk[256];
	uint32_t	count;

	dictionary_fill(&dictionary, numbers, stream->nrows, CODEC_MAX_DICT);
	dictionary_sort(&dictionary);
	for (uint32_t i = 0; i < dictionary.count; i++)
		chunk[i] = dictionary.entry[i] - stream->base;
	dst = bits_pack(dst, stream->width, chunk, dictionary.count);

	for (uint32_t first = 0; first < stream->nrows; first += count)
	{
		count = stream->nrows - first < 256 ? stream->nrows - first : 256;
		for (uint32_t i = 0; i < count; i++)
			chunk[i] = *dictionary_slot(&dictionary, numbers[first + i]) - 1u;
		dst = bits_pack(dst, stream->index_width, chunk, count);
	}
	return dst;
}
