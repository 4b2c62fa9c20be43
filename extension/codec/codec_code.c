/*
 * codec_code.c
 *	  Reads and writes the parameters of coded differences, and makes codes of the fewest bits.
 *
 * Codes are canonical: their lengths say what they are.  They cover all that can follow, so that
 * every byte begins with one.
 */
#include "codec/codec_code.h"

/* Of the length of a code. */
#define LENGTH_BITS 4

/* Do codes of these lengths begin with every byte, and each byte with one code? */
static bool
lengths_are_complete(const CodecCode *code)
{
	uint32_t	covered = 0;

	for (uint32_t i = 0; i < codec_code_symbols(code); i++)
	{
		if (code->length[i] > CODEC_CODE_BITS)
			return false;
		if (code->length[i] > 0)
			covered += CODEC_CODE_ENTRIES >> code->length[i];
	}
	return covered == CODEC_CODE_ENTRIES;
}

bool
codec_code_parse(CodecCode *code, ByteCursor *cursor)
{
	uint8_t		byte = 0;

	code->class_bits = cursor_byte(cursor);
	code->other_bits = cursor_byte(cursor);
	code->nclasses = cursor_byte(cursor);
	if (code->class_bits > CODEC_CODE_MAX_CLASS_BITS ||
		code->other_bits > CODEC_CODE_MAX_OTHER_BITS ||
		code->nclasses == 0 || code->nclasses > CODEC_CODE_MAX_CLASSES)
		return false;
	for (uint32_t i = 0; i < codec_code_symbols(code); i++)
	{
		byte = i % 2 == 0 ? cursor_byte(cursor) : byte >> LENGTH_BITS;
		code->length[i] = byte & ((1 << LENGTH_BITS) - 1);
	}
	byte = cursor_byte(cursor);
	code->anchor_step = cursor_signed(cursor, bits_signed_length(byte & 7));
	code->size_width = byte >> 3;
	code->anchor_width = cursor_byte(cursor);
	code->least_size = cursor_varint(cursor);
	return !cursor->overrun && code->least_size <= CODEC_CODE_MAX_SIZE && bits_width_is_valid(code->anchor_width) &&
		lengths_are_complete(code);
}

size_t
codec_code_bytes(const CodecCode *code)
{
	return 3 + (codec_code_symbols(code) + 1) / 2 + 1 +
		bits_signed_length(bits_signed_code(code->anchor_step)) + 1 +
		bits_varint_bytes(code->least_size);
}

uint8_t *
codec_code_write(const CodecCode *code, uint8_t *dst)
{
	unsigned	anchor_code = bits_signed_code(code->anchor_step);

	*dst++ = code->class_bits;
	*dst++ = code->other_bits;
	*dst++ = (uint8_t) code->nclasses;
	for (uint32_t i = 0; i < codec_code_symbols(code); i += 2)
	{
		uint8_t		second = i + 1 < codec_code_symbols(code) ? code->length[i + 1] : 0;

		*dst++ = (uint8_t) (code->length[i] | second << LENGTH_BITS);
	}
	*dst++ = (uint8_t) (code->size_width << 3 | anchor_code);
	dst = bits_put_signed(dst, code->anchor_step, anchor_code);
	*dst++ = code->anchor_width;
	return bits_put_varint(dst, code->least_size);
}

/*
 * After Moffat and Katajainen, "In-place calculation of minimum-redundancy codes" (1995).  Then no code
 * is left longer than CODEC_CODE_BITS.
 */
void
codec_code_set_lengths(CodecCode *code, const uint32_t *count, const uint8_t *order, uint32_t n)
{
	uint8_t    *length = code->length;
	uint32_t	work[CODEC_CODE_MAX_SYMBOLS];
	uint32_t	depth = 0;
	uint32_t	root = 0;
	uint32_t	leaf = 0;
	uint32_t	open = 1;
	uint32_t	at = n;
	uint32_t	covered = 0;

	/* the weights of the inner nodes of the tree, and then the node above each */
	for (uint32_t i = 0; i < n; i++)
		work[i] = count[order[i]];
	for (uint32_t next = 0; next + 1 < n; next++)
	{
		uint32_t	weight = 0;

		for (int child = 0; child < 2; child++)
		{
			if (leaf >= n || (root < next && work[root] < work[leaf]))
			{
				weight += work[root];
				work[root++] = next;
			}
			else
				weight += work[leaf++];
		}
		work[next] = weight;
	}

	/* the depths of the inner nodes, and from how many there are at each, those of the leaves */
	work[n - 2] = 0;
	for (uint32_t i = n - 2; i > 0; i--)
		work[i - 1] = work[work[i - 1]] + 1;
	root = n - 1;
	while (open > 0)
	{
		uint32_t	inner = 0;

		while (root > 0 && work[root - 1] == depth)
		{
			inner++;
			root--;
		}
		for (; open > inner; open--)
			length[order[--at]] = (uint8_t) (depth < CODEC_CODE_BITS ? depth : CODEC_CODE_BITS);
		open = 2 * inner;
		depth++;
	}

	/* where codes were cut, others give way: the longest of them, and of these the rarest */
	for (uint32_t i = 0; i < n; i++)
		covered += CODEC_CODE_ENTRIES >> length[order[i]];
	while (covered > CODEC_CODE_ENTRIES)
	{
		uint8_t    *longest = &length[order[0]];

		for (uint32_t i = 1; i < n; i++)
			if (length[order[i]] < CODEC_CODE_BITS &&
				(*longest == CODEC_CODE_BITS || length[order[i]] > *longest))
				longest = &length[order[i]];
		++*longest;
		covered -= CODEC_CODE_ENTRIES >> *longest;
	}
	/* one that has given way too much leaves room for others, the most frequent first */
	while (covered < CODEC_CODE_ENTRIES)
		for (uint32_t i = n; i > 0; i--)
			if (covered + (CODEC_CODE_ENTRIES >> length[order[i - 1]]) <= CODEC_CODE_ENTRIES)
				covered += CODEC_CODE_ENTRIES >> length[order[i - 1]]--;
}
