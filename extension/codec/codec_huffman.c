/*
 * codec_huffman.c
 *	  Coded differences: those that are frequent take fewer bits than those that are rare.
 *
 * Packed differences are all as wide as the widest one.  Here a difference is the Huffman code of
 * its class (codec_code.h), and then its place in the class.  A code has at most 8 bits, so that a
 * table tells from the next bits what they are and how many they are, without a branch.
 *
 * Rows form groups of 128.  The first number of each group, the anchor, is not coded; how far it is
 * from the anchor before, and how many bits the codes of the group before take, is packed.  So any
 * number is at most 127 codes and as many packed numbers as there are groups away.  Decoding takes
 * the time from one table lookup to the next, because each has to wait for the one before; so four
 * groups are decoded side by side.
 *
 * codec_huffman_is_valid() has looked at the parameters before they are used.  Codes of a corrupt
 * block are read from within the block, whatever they lead to.
 */
#include "codec/codec_huffman.h"

#include "codec/codec.h"
#include "codec/codec_code.h"

#define GROUP_ROWS CODEC_HUFFMAN_GROUP_ROWS
#define WAYS CODEC_HUFFMAN_WAYS
#define MAX_GROUPS (CODEC_MAX_ROWS / GROUP_ROWS)

_Static_assert(GROUP_ROWS == CODEC_CODE_GROUP_ROWS, "the header has the group's rows");
_Static_assert(sizeof(((CodecHuffman *) NULL)->entry) == CODEC_CODE_ENTRIES * sizeof(uint64_t),
			   "the table has an entry for all bits of a code");

static inline ByteCursor
data_cursor(const CodecStream *stream)
{
	return (ByteCursor) {.at = stream->data, .end = stream->data + stream->count};
}

bool
codec_huffman_is_valid(const CodecStream *stream)
{
	ByteCursor	cursor = data_cursor(stream);
	uint32_t	steps = codec_code_group_steps(stream->nrows);
	CodecCode	code;

	return codec_code_parse(&code, &cursor) &&
		bits_packed_bytes(steps, code.anchor_width) + bits_packed_bytes(steps, code.size_width) <=
		(size_t) (cursor.end - cursor.at);
}

/*
 * Sets the entries, and their number.  A code of a few bits has many entries: it is set once in a
 * table for codes of its length, which is then doubled for longer ones.
 */
static void
set_entries(CodecHuffman *ready, const CodecCode *code)
{
	uint8_t		order[CODEC_CODE_MAX_SYMBOLS] = {0};
	uint8_t		end[CODEC_CODE_BITS + 2] = {0}; /* of the symbols with a code of each length */
	uint32_t	next = 0;
	uint32_t	done = 0;

	/* the symbols in the order of their codes */
	for (uint32_t i = 0; i < codec_code_symbols(code); i++)
		end[code->length[i] + 1]++;
	end[1] = 0;
	for (uint32_t length = 2; length <= CODEC_CODE_BITS + 1; length++)
		end[length] = (uint8_t) (end[length] + end[length - 1]);
	for (uint32_t i = 0; i < codec_code_symbols(code); i++)
		if (code->length[i] > 0)
			order[end[code->length[i]]++] = (uint8_t) i;

	ready->table_bits = CODEC_CODE_BITS;
	while (end[ready->table_bits] == end[ready->table_bits - 1])
		ready->table_bits--;
	for (uint32_t length = 1; length <= ready->table_bits; length++)
	{
		if (done > 0)
			memcpy(&ready->entry[1u << (length - 1)], ready->entry, sizeof(uint64_t) << (length - 1));
		for (; done < end[length]; done++, next++)
		{
			uint32_t	symbol = order[done];

			ready->entry[codec_code_stored(next, length)] =
				(uint64_t) codec_code_base(code, symbol) << 16 |
				(uint64_t) codec_code_rest_bits(code, symbol) << 8 | length;
		}
		next <<= 1;
	}
}

void
codec_huffman_open(CodecHuffman *ready, const CodecStream *stream)
{
	ByteCursor	cursor = data_cursor(stream);
	uint32_t	steps = codec_code_group_steps(stream->nrows);
	CodecCode	code = {0};

	(void) codec_code_parse(&code, &cursor);
	ready->base = stream->base;
	ready->step = stream->step;
	ready->anchors = cursor.at;
	ready->sizes = ready->anchors + bits_packed_bytes(steps, code.anchor_width);
	ready->codes = ready->sizes + bits_packed_bytes(steps, code.size_width);
	ready->last = stream->last;
	ready->code_bits = 8 * (uint64_t) (cursor.end - ready->codes);
	ready->anchor_step = code.anchor_step;
	ready->least_size = code.least_size;
	ready->anchor_width = code.anchor_width;
	ready->size_width = code.size_width;
	ready->rest_bits = code.class_bits > code.other_bits ? code.class_bits : code.other_bits;
	set_entries(ready, &code);
}

/* One group that is being decoded. */
typedef struct Chain
{
	uint64_t	at;				/* the bit of the next code */
	uint64_t	word;			/* the next bits */
	uint64_t	number;
} Chain;

static uint64_t
sum_packed(const uint8_t *src, const uint8_t *last, unsigned width, uint32_t count)
{
	uint64_t	numbers[MAX_GROUPS];
	uint64_t	sum = 0;

	bits_unpack(src, last, width, 0, count, numbers);
	for (uint32_t i = 0; i < count; i++)
		sum += numbers[i];
	return sum;
}

/* Where codes are in a corrupt block may be anywhere. */
static inline uint64_t
bounded_place(const CodecHuffman *ready, uint64_t at)
{
	return at < ready->code_bits ? at : ready->code_bits;
}

static inline Chain
chain_begin(const CodecHuffman *ready, uint32_t group)
{
	return (Chain) {
		.at = bounded_place(ready, group * ready->least_size +
							sum_packed(ready->sizes, ready->last, ready->size_width, group)),
		.number = ready->base + group * ready->anchor_step +
			sum_packed(ready->anchors, ready->last, ready->anchor_width, group),
	};
}

/* The chain of the group after another one, which has not been begun to be decoded. */
static inline Chain
chain_after(const CodecHuffman *ready, const Chain *before, uint32_t group)
{
	return (Chain) {
		.at = bounded_place(ready, before->at + ready->least_size +
							bits_get(ready->sizes, ready->last, ready->size_width, group - 1)),
		.number = before->number + ready->anchor_step +
			bits_get(ready->anchors, ready->last, ready->anchor_width, group - 1),
	};
}

/* Reads the next 57 bits or more, those behind the end of the block being 0, as bits_get() does. */
static inline void
chain_read(Chain *chain, const CodecHuffman *ready)
{
	ptrdiff_t	from_last = (ready->codes - ready->last) + (ptrdiff_t) (chain->at >> 3);
	ptrdiff_t	beyond = from_last > 0 ? from_last : 0;

	chain->word = bits_load64(ready->last + (from_last - beyond)) >>
		(((chain->at & 7) + 8 * (uint64_t) beyond) & 63);
}

/*
 * Decodes one difference, and adds it to the number.  The step and the mask of a table's entries are
 * the caller's local variables, because the compiler must take those of the code for changed after
 * each number that is stored.
 */
static inline void
chain_step(Chain *chain, const CodecHuffman *ready, uint64_t mask, uint64_t step, bool plain)
{
	uint64_t	entry = ready->entry[chain->word & mask];
	unsigned	length = entry & 0xff;
	uint64_t	rest = 0;

	if (!plain)
	{
		unsigned	rest_bits = (entry >> 8) & 0xff;

		rest = (chain->word >> length) & ((UINT64_C(1) << rest_bits) - 1);
		length += rest_bits;
	}
	chain->word >>= length;
	chain->at += length;
	chain->number += step + (uint64_t) ((int64_t) entry >> 16) + rest;
}

/* So many codes, with the bits after them, surely lie in what is read at a time. */
static inline uint32_t
codes_of_read(const CodecHuffman *ready)
{
	return 57 / (ready->table_bits + ready->rest_bits);
}

/* Decodes so many codes of a group, from its first on, and returns the number that they lead to. */
static inline uint64_t
walk(const CodecHuffman *ready, uint32_t group, uint32_t count, bool plain)
{
	const uint32_t at_once = codes_of_read(ready);
	const uint64_t mask = bits_mask(ready->table_bits);
	Chain		chain = chain_begin(ready, group);

	while (count > 0)
	{
		uint32_t	here = count < at_once ? count : at_once;

		chain_read(&chain, ready);
		for (uint32_t i = 0; i < here; i++)
			chain_step(&chain, ready, mask, ready->step, plain);
		count -= here;
	}
	return chain.number;
}

uint64_t
codec_huffman_get(const CodecStream *stream, uint32_t row)
{
	CodecHuffman ready;

	codec_huffman_open(&ready, stream);
	if (ready.rest_bits == 0)
		return walk(&ready, row / GROUP_ROWS, row % GROUP_ROWS, true);
	return walk(&ready, row / GROUP_ROWS, row % GROUP_ROWS, false);
}

/* Decodes all rows of count groups from the first on, side by side. */
static inline void
decode_ways(const CodecHuffman *ready, uint32_t first, uint32_t count, uint64_t *const *dst,
			bool plain)
{
	const uint32_t at_once = codes_of_read(ready);
	const uint64_t mask = bits_mask(ready->table_bits);
	const uint64_t step = ready->step;
	Chain		a = chain_begin(ready, first);
	Chain		b = count > 1 ? chain_after(ready, &a, first + 1) : a;
	Chain		c = count > 2 ? chain_after(ready, &b, first + 2) : a;
	Chain		d = count > 3 ? chain_after(ready, &c, first + 3) : a;
	uint64_t   *dst_a = dst[0];
	uint64_t   *dst_b = dst[1];
	uint64_t   *dst_c = dst[2];
	uint64_t   *dst_d = dst[3];

	for (uint32_t row = 0; row < GROUP_ROWS;)
	{
		uint32_t	end = row + at_once < GROUP_ROWS ? row + at_once : GROUP_ROWS;

		chain_read(&a, ready);
		chain_read(&b, ready);
		chain_read(&c, ready);
		chain_read(&d, ready);
		for (; row < end; row++)
		{
			dst_a[row] = a.number;
			dst_b[row] = b.number;
			dst_c[row] = c.number;
			dst_d[row] = d.number;
			chain_step(&a, ready, mask, step, plain);
			chain_step(&b, ready, mask, step, plain);
			chain_step(&c, ready, mask, step, plain);
			chain_step(&d, ready, mask, step, plain);
		}
	}
}

/* The codes of a group's last row are those of the next group's first; what they say is not used. */
void
codec_huffman_decode(const CodecHuffman *ready, uint32_t first, uint32_t count, uint64_t *dst)
{
	uint64_t	scratch[WAYS][GROUP_ROWS];

	while (count > 0)
	{
		uint64_t   *to[WAYS];
		uint32_t	row = first;
		uint32_t	end = first + count;
		uint32_t	groups = (end - 1) / GROUP_ROWS - first / GROUP_ROWS + 1;

		/* groups of which only some rows are wanted, and those after the last one, go elsewhere */
		for (uint32_t i = 0; i < WAYS; i++)
		{
			uint32_t	from = (first / GROUP_ROWS + i) * GROUP_ROWS;
			bool		whole = from >= first && from + GROUP_ROWS <= end;

			to[i] = whole ? dst + (from - first) : scratch[i];
		}
		if (ready->rest_bits == 0)
			decode_ways(ready, first / GROUP_ROWS, groups, to, true);
		else
			decode_ways(ready, first / GROUP_ROWS, groups, to, false);
		for (uint32_t i = 0; i < WAYS && row < end; i++)
		{
			uint32_t	skip = row % GROUP_ROWS;
			uint32_t	here = GROUP_ROWS - skip < end - row ? GROUP_ROWS - skip : end - row;

			if (to[i] == scratch[i])
				memcpy(dst + (row - first), scratch[i] + skip, here * sizeof(*dst));
			row += here;
		}
		dst += row - first;
		count -= row - first;
		first = row;
	}
}

void
codec_huffman_decode_once(const CodecStream *stream, uint32_t first, uint32_t count, uint64_t *dst)
{
	CodecHuffman ready;

	codec_huffman_open(&ready, stream);
	codec_huffman_decode(&ready, first, count, dst);
}
