/*
 * utf8.h
 *	  Recognition of well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates), and of control
 *	  characters in it.
 */
#ifndef HISTORIAND_UTF8_H
#define HISTORIAND_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The length of the character that text starts with, or 0 if that is not well-formed. */
static inline size_t
utf8_length(const char *text, size_t available)
{
	const unsigned char *c = (const unsigned char *) text;
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	size_t length;

	if (available == 0)
		return 0;
	if (c[0] < 0x80)
		return 1;
	if (c[0] < 0xC2 || c[0] > 0xF4)
		return 0;
	length = c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : 4;

	/* The second byte's range excludes overlong forms, surrogates and code points over U+10FFFF. */
	if (c[0] == 0xE0)
		low = 0xA0;
	else if (c[0] == 0xED)
		high = 0x9F;
	else if (c[0] == 0xF0)
		low = 0x90;
	else if (c[0] == 0xF4)
		high = 0x8F;

	if (available < length || c[1] < low || c[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
	{
		if ((c[i] & 0xC0) != 0x80)
			return 0;
	}
	return length;
}

static inline bool
utf8_valid(const char *text, size_t length)
{
	while (length > 0)
	{
		size_t step = utf8_length(text, length);

		if (step == 0)
			return false;
		text += step;
		length -= step;
	}
	return true;
}

/* Has the text, which is well-formed, a character of U+0000 to U+001F or U+007F to U+009F? */
static inline bool
utf8_has_control(const char *text, size_t length)
{
	const unsigned char *c = (const unsigned char *) text;
	size_t i = 0;

	/* Most text has only bytes from 0x20 to 0x7E: eight of those are passed at a time. */
	while (length - i >= 8)
	{
		const uint64_t ones = UINT64_C(0x0101010101010101);
		uint64_t word;

		memcpy(&word, c + i, sizeof(word));
		if (((word | (word + ones) | (word - 0x20 * ones)) & (0x80 * ones)) != 0)
			break;
		i += 8;
		if (i < length && length - i < 8)
			i = length - 8; /* the last eight, some of them again */
	}
	for (; i < length; i++)
	{
		if (c[i] < 0x20 || c[i] == 0x7F || (c[i] == 0xC2 && i + 1 < length && c[i + 1] < 0xA0))
			return true;
	}
	return false;
}

#endif /* HISTORIAND_UTF8_H */
