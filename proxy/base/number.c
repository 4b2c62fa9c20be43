/*
 * number.c
 *	  JSON numbers to float64 and int64, exactly as IEEE 754 rounding demands.
 *
 * There are three ways, and each is taken only where it is exact:
 *	1. W. D. Clinger (PLDI 1990): a mantissa up to 2^53 and a power of ten up to 22 are doubles
 *	   themselves, so one multiplication or division rounds once.  Most measurements end here.
 *	2. M. Mushtak and D. Lemire, "Number parsing at a gigabyte per second" (SPE 2021), the
 *	   Eisel-Lemire algorithm: up to 19 digits times a 128-bit approximation of 5^q.
 *	3. strtod_l in the C locale for the rest: more than 19 digits, subnormals, near ties.
 */
#include "base/number.h"

#include "base/memory.h"

#include <endian.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 uint128;

/* Step 1 rounds once only where double arithmetic is done in double. */
_Static_assert(FLT_EVAL_METHOD == 0, "double expressions must be evaluated in double");

/* A decimal number as read: digits * 10^exponent; digits is exact unless many_digits. */
typedef struct Decimal
{
	uint64_t digits;
	int64_t exponent;
	bool negative;
	bool many_digits;
} Decimal;

#define POWER_MIN (-342)
#define POWER_MAX 308

/* A word of eight times this byte. */
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The 128 leading bits of 5^q for q from POWER_MIN to POWER_MAX. */
static struct
{
	uint64_t high;
	uint64_t low;
} power_of_five[POWER_MAX - POWER_MIN + 1];

static locale_t c_locale;

static NumberStatus read_decimal(const char **cursor, const char *end, Decimal *decimal);
static bool eisel_lemire(const Decimal *decimal, double *value);
static double with_strtod(const char *start, const char *end);

/* Big natural numbers below 2^1280, in base 2^32, least limb first. */
#define BIG_LIMBS 40

/* The number's 128 leading bits, plus one if they are to be rounded up. */
static void
big_leading_bits(const uint32_t *big, bool round_up, uint64_t *high, uint64_t *low)
{
	int top = BIG_LIMBS - 1;
	uint128 bits = 0;
	int shift;

	while (big[top] == 0)
		top--;
	for (int i = top; i > top - 5; i--)
	{
		if (i == top - 4)
		{
			/* The fifth limb's leading bits replace the leading zeros of the first. */
			shift = __builtin_clz(big[top]);
			bits <<= shift;
			if (shift > 0 && i >= 0)
				bits |= big[i] >> (32 - shift);
		}
		else
			bits = bits << 32 | (i >= 0 ? big[i] : 0);
	}
	bits += round_up;
	*high = (uint64_t) (bits >> 64);
	*low = (uint64_t) bits;
}

void
number_init(void)
{
	uint32_t big[BIG_LIMBS] = {1};

	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t) 0);

	for (int q = 0; q <= POWER_MAX; q++)
	{
		uint64_t carry = 0;

		big_leading_bits(big, false, &power_of_five[q - POWER_MIN].high,
						 &power_of_five[q - POWER_MIN].low);
		for (int i = 0; i < BIG_LIMBS; i++)
		{
			carry += (uint64_t) big[i] * 5;
			big[i] = (uint32_t) carry;
			carry >>= 32;
		}
	}

	/*
	 * Negative powers: 2^1279 divided by 5 again and again; flooring each time equals flooring
	 * once.  The paper wants them rounded up as long as the product can be exact (q >= -27).
	 */
	memset(big, 0, sizeof(big));
	big[BIG_LIMBS - 1] = UINT32_C(1) << 31;
	for (int q = -1; q >= POWER_MIN; q--)
	{
		uint64_t remainder = 0;

		for (int i = BIG_LIMBS - 1; i >= 0; i--)
		{
			remainder = remainder << 32 | big[i];
			big[i] = (uint32_t) (remainder / 5);
			remainder %= 5;
		}
		big_leading_bits(big, q >= -27, &power_of_five[q - POWER_MIN].high,
						 &power_of_five[q - POWER_MIN].low);
	}
}

/* Eight digits, each a byte from 0 to 9 and the first one the lowest, become their number. */
static inline uint64_t
digits_number(uint64_t word)
{
	/* Two digits become a number, two of these, and again. */
	word = word * 10 + (word >> 8);
	word = ((word & UINT64_C(0x000000FF000000FF)) * (100 + (UINT64_C(1000000) << 32)) +
			((word >> 16) & UINT64_C(0x000000FF000000FF)) * (1 + (UINT64_C(10000) << 32))) >>
		   32;
	return (uint32_t) word;
}

/* The next eight bytes, the first one the lowest; of a digit its number is left. */
static inline uint64_t
load_digits(const char *c)
{
	uint64_t word;

	memcpy(&word, c, sizeof(word));
	return le64toh(word) ^ EACH('0');
}

/* The same where only four to seven bytes are left; what follows them is no digit. */
static inline uint64_t
load_last_digits(const char *c, size_t left)
{
	uint32_t first, last;

	memcpy(&first, c, sizeof(first));
	memcpy(&last, c + left - 4, sizeof(last));
	return (le32toh(first) | (uint64_t) le32toh(last) << 8 * (left - 4)) ^ EACH('0');
}

/* The highest bit of each byte of load_digits() that was no digit. */
static inline uint64_t
not_digits(uint64_t word)
{
	return (((word & EACH(0x7F)) + EACH(0x76)) | word) & EACH(0x80);
}

/*
 * Reads a number that ends within eight bytes and has no exponent, as 75.92, without a loop: how many
 * digits a measurement has differs from one to the next, so that the processor could not foresee
 * where loops end.  False, and nothing is changed, if it is another number or none.
 */
static inline bool
read_short(const char **cursor, const char *end, Decimal *decimal)
{
	const char *c = *cursor;
	bool negative = false;
	uint64_t word;
	uint64_t others;
	unsigned whole; /* 8 times how many digits are before the point, and after it */
	unsigned fraction = 0;
	unsigned stop; /* 8 times the place of what follows the number */

	if (c < end && __builtin_expect(*c == '-', 0))
	{
		negative = true;
		c++;
	}
	if (end - c < 4)
		return false;
	word = end - c >= 8 ? load_digits(c) : load_last_digits(c, (size_t) (end - c));
	others = not_digits(word);
	if (others == 0)
		return false;
	whole = (unsigned) __builtin_ctzll(others) - 7;
	stop = whole;
	if (whole == 0 || (whole > 8 && (word & 0xFF) == 0))
		return false;
	if ((word >> whole & 0xFF) == ('.' ^ '0'))
	{
		others &= others - 1;
		if (others == 0)
			return false;
		stop = (unsigned) __builtin_ctzll(others) - 7;
		fraction = stop - whole - 8;
		if (fraction == 0)
			return false;
	}
	if ((word >> stop & 0xFF) == ('e' ^ '0') || (word >> stop & 0xFF) == ('E' ^ '0'))
		return false;
	/* The digits after the point, if there is one, move to its place. */
	if (fraction > 0)
		word = (word & ((UINT64_C(1) << whole) - 1)) | word >> 8 >> whole << whole;
	decimal->digits = digits_number(word << (64 - whole - fraction));
	decimal->exponent = -(int64_t) (fraction / 8);
	decimal->negative = negative;
	decimal->many_digits = false;
	*cursor = c + stop / 8;
	return true;
}

NumberStatus
number_double(const char **cursor, const char *end, double *value)
{
	static const double exact_powers[] = {
		1e0,  1e1,	1e2,  1e3,	1e4,  1e5,	1e6,  1e7,	1e8,  1e9,	1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
	};
	const char *start = *cursor;
	Decimal decimal;
	NumberStatus status;

	if (read_short(cursor, end, &decimal))
	{
		double exact = (double) decimal.digits / exact_powers[-decimal.exponent];

		*value = decimal.negative ? -exact : exact;
		return NUMBER_OK;
	}
	status = read_decimal(cursor, end, &decimal);
	if (status != NUMBER_OK)
		return status;

	if (!decimal.many_digits && decimal.digits <= UINT64_C(1) << 53 && decimal.exponent >= -22 &&
		decimal.exponent <= 22)
	{
		double exact = (double) decimal.digits;

		exact = decimal.exponent < 0 ? exact / exact_powers[-decimal.exponent]
									 : exact * exact_powers[decimal.exponent];
		*value = decimal.negative ? -exact : exact;
		return NUMBER_OK;
	}

	if (decimal.many_digits || !eisel_lemire(&decimal, value))
		*value = with_strtod(start, *cursor);
	if (isinf(*value))
	{
		*cursor = start;
		return NUMBER_RANGE;
	}
	return NUMBER_OK;
}

NumberStatus
number_int64(const char **cursor, const char *end, int64_t *value)
{
	static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
	const char *c = *cursor;
	bool negative = c < end && *c == '-';
	uint64_t digits = 0;
	bool overflow = false;
	const char *first;

	c += negative;
	first = c;
	/* A time in nanoseconds has 19 digits, eight, eight and three; so many cannot overflow. */
	while (end - c >= 8 && c - first <= 16)
	{
		uint64_t word = load_digits(c);
		uint64_t others = not_digits(word);
		unsigned bits;

		if (others == 0 && c - first <= 8)
		{
			digits = digits * 100000000 + digits_number(word);
			c += 8;
			continue;
		}
		bits = others == 0 ? 64 : (unsigned) __builtin_ctzll(others) - 7;
		if (bits > 0 && (c - first <= 8 || bits <= 24))
		{
			digits = digits * powers[bits / 8] + digits_number(word << (64 - bits));
			c += bits / 8;
		}
		break;
	}
	while (c < end && *c >= '0' && *c <= '9')
	{
		uint64_t digit = (uint64_t) (*c++ - '0');

		if (c - first > 18)
			overflow |= __builtin_mul_overflow(digits, 10, &digits) ||
						__builtin_add_overflow(digits, digit, &digits);
		else
			digits = digits * 10 + digit;
	}
	if (c == first || (c - first > 1 && *first == '0'))
		return NUMBER_SYNTAX;
	if (c < end && (*c == '.' || *c == 'e' || *c == 'E'))
		return NUMBER_NOT_INTEGER;
	if (overflow || digits > (uint64_t) INT64_MAX + negative)
		return NUMBER_RANGE;

	*value = (int64_t) (negative ? UINT64_C(0) - digits : digits);
	*cursor = c;
	return NUMBER_OK;
}

static inline bool
is_digit(const char *c, const char *end)
{
	return c < end && (unsigned char) (*c - '0') < 10;
}

/* Reads a number by RFC 8259's grammar, without rounding it. */
static NumberStatus
read_decimal(const char **cursor, const char *end, Decimal *decimal)
{
	const char *c = *cursor;
	uint64_t digits = 0;
	int64_t exponent = 0;
	const char *first;
	int64_t count;

	decimal->negative = c < end && *c == '-';
	c += decimal->negative;

	first = c;
	while (is_digit(c, end))
		digits = digits * 10 + (uint64_t) (*c++ - '0');
	count = c - first;
	if (count == 0 || (count > 1 && *first == '0'))
		return NUMBER_SYNTAX;

	if (c < end && *c == '.')
	{
		const char *fraction = ++c;

		while (is_digit(c, end))
			digits = digits * 10 + (uint64_t) (*c++ - '0');
		exponent = fraction - c;
		if (exponent == 0)
			return NUMBER_SYNTAX;
		count -= exponent;
	}

	/* Leading zeros are not significant: 0.000123 has three digits. */
	decimal->many_digits = false;
	if (count > 19)
	{
		for (const char *zero = first; zero < c && (*zero == '0' || *zero == '.'); zero++)
			count -= *zero == '0';
		decimal->many_digits = count > 19;
	}

	if (c < end && (*c == 'e' || *c == 'E'))
	{
		bool negative = false;
		int64_t power = 0;

		c++;
		if (c < end && (*c == '+' || *c == '-'))
			negative = *c++ == '-';
		if (!is_digit(c, end))
			return NUMBER_SYNTAX;
		for (; is_digit(c, end); c++)
		{
			/* Far beyond any double already; stop counting before it overflows. */
			if (power < 1000000)
				power = power * 10 + (*c - '0');
		}
		exponent += negative ? -power : power;
	}

	decimal->digits = digits;
	decimal->exponent = exponent;
	*cursor = c;
	return NUMBER_OK;
}

/*
 * The Eisel-Lemire algorithm, with the paper's names.  Returns false if the 128-bit product does
 * not decide the rounding, or if the result would be subnormal or too large.
 */
static bool
eisel_lemire(const Decimal *decimal, double *value)
{
	int64_t q = decimal->exponent;
	uint64_t w = decimal->digits;
	int leading_zeros;
	uint128 product;
	uint64_t high;
	uint64_t low;
	int upper_bit;
	uint64_t mantissa;
	int64_t power;
	uint64_t bits;

	if (w == 0 || q < POWER_MIN || q > POWER_MAX)
		return false;

	leading_zeros = __builtin_clzll(w);
	w <<= leading_zeros;
	product = (uint128) w * power_of_five[q - POWER_MIN].high;
	high = (uint64_t) (product >> 64);
	low = (uint64_t) product;
	if ((high & 0x1FF) == 0x1FF)
	{
		/* The low bits could carry into the 55 that matter: take the power's second word too. */
		uint64_t second = (uint64_t) (((uint128) w * power_of_five[q - POWER_MIN].low) >> 64);

		low += second;
		if (low < second)
			high++;
	}
	if (low == UINT64_MAX && (q < -27 || q > 55))
		return false;

	upper_bit = (int) (high >> 63);
	mantissa = high >> (upper_bit + 9);
	/* floor(q * log2(10)) by multiplication with a rounded constant, exact in this range */
	power = ((217706 * q) >> 16) + 63 + upper_bit - leading_zeros + 1023;
	if (power <= 0)
		return false;

	/* A tie that is exact rounds to even; only these powers can make one. */
	if (low <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 &&
		mantissa << (upper_bit + 9) == high)
		mantissa &= ~UINT64_C(1);
	mantissa = (mantissa + (mantissa & 1)) >> 1;
	if (mantissa >= UINT64_C(2) << 52)
	{
		mantissa = UINT64_C(1) << 52;
		power++;
	}
	if (power >= 0x7FF)
		return false;

	bits = (mantissa & ~(UINT64_C(1) << 52)) | (uint64_t) power << 52 |
		   (uint64_t) decimal->negative << 63;
	memcpy(value, &bits, sizeof(bits));
	return true;
}

/* The text is a valid number.  It is copied because strtod reads up to a NUL. */
static double
with_strtod(const char *start, const char *end)
{
	size_t length = (size_t) (end - start);
	char local[128];
	char *copy = length < sizeof(local) ? local : memory_new(length + 1);
	double value;

	memcpy(copy, start, length);
	copy[length] = '\0';
	value = strtod_l(copy, NULL, c_locale);
	if (copy != local)
		free(copy);
	return value;
}
