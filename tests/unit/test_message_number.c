/*
 * test_message_number.c
 *	  Numbers of messages against strtod, and the limits of integers.
 *
 * Takes a seed as its argument; prints the one it uses.
 */
#include "base/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state;
static int test_number;
static int failures;

static uint64_t
next_random(void)
{
	/* splitmix64 */
	uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static void
ok(bool passed, const char *name)
{
	test_number++;
	failures += !passed;
	printf("%sok %d - %s\n", passed ? "" : "not ", test_number, name);
}

/* Does the text give the double that strtod gives? */
static bool
agrees(const char *text)
{
	const char *cursor = text;
	const char *end = text + strlen(text);
	double expected = strtod(text, NULL);
	double value = 0;
	NumberStatus status = number_double(&cursor, end, &value);

	if (isinf(expected)
			? status == NUMBER_RANGE
			: status == NUMBER_OK && cursor == end && memcmp(&value, &expected, sizeof(value)) == 0)
		return true;
	printf("# %s: %.17g (status %d) instead of %.17g\n", text, value, status, expected);
	return false;
}

static void
test_fixed(void)
{
	static const char *const texts[] = {
		"0",
		"-0",
		"0.0",
		"-0.0e5",
		"1",
		"-1",
		"0e400",
		"0e-400",
		"1e22",
		"1e23",
		"9007199254740993",
		"9007199254740992",
		"9007199254740991",
		"18446744073709551615",
		"18446744073709551616",
		"123456789012345678901234567890",
		"1e308",
		"1.7976931348623157e308",
		"1.7976931348623158e308",
		"1.7976931348623159e308",
		"1e309",
		"-1e309",
		"1e400",
		"2.2250738585072014e-308",
		"2.2250738585072011e-308",
		"4.9406564584124654e-324",
		"2.4703282292062327e-324",
		"2.4703282292062328e-324",
		"1e-324",
		"1e-400",
		"5e-324",
		"0.1",
		"0.2",
		"0.3",
		"0.30000000000000004",
		"8.98846567431158e307",
		"0.000000000000000000000000000000000000000000000000000000000000000123",
		"100000000000000000000000000000000000000000000000000000e-53",
		"7.2057594037927933e16",
		"9007199254740993.0",
		"9007199254740992.9999999999999999",
		"1.00000000000000011102230246251565404236316680908203125",
		"1.00000000000000011102230246251565404236316680908203124",
		"1.00000000000000011102230246251565404236316680908203126",
		"6.02214076e23",
		"1.602176634e-19",
		"1e99999999999999999999",
		"1e-99999999999999999999",
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		good &= agrees(texts[i]);
	ok(good, "well-known hard numbers");
}

static void
test_round_trip(int rounds)
{
	bool good = true;
	char text[64];

	for (int i = 0; i < rounds && good; i++)
	{
		uint64_t bits = next_random();
		double value;

		memcpy(&value, &bits, sizeof(value));
		if (!isfinite(value))
			continue;
		snprintf(text, sizeof(text), "%.*g", 15 + (int) (i % 3), value);
		good &= agrees(text);
		snprintf(text, sizeof(text), "%.*e", 13 + (int) (i % 8), value);
		good &= agrees(text);
	}
	ok(good, "random doubles with 14 to 21 digits");
}

static void
test_decimals(int rounds)
{
	bool good = true;
	char text[96];

	for (int i = 0; i < rounds && good; i++)
	{
		uint64_t digits = next_random() >> (next_random() % 64);
		int exponent = (int) (next_random() % 700) - 350;

		if (i % 2 == 0)
			exponent = (int) (next_random() % 60) - 30;
		snprintf(text, sizeof(text), "%s%" PRIu64 "e%d", i % 3 ? "" : "-", digits, exponent);
		good &= agrees(text);
		snprintf(text, sizeof(text), "%" PRIu64 ".%0*" PRIu64, digits >> 32,
				 (int) (next_random() % 20) + 1, digits & 0xFFFFFFFF);
		good &= agrees(text);
	}
	ok(good, "random decimals");
}

/* Half-way points between neighbours, and one digit above and below: the hardest to round. */
static void
test_halves(int rounds)
{
	bool good = true;
	char text[1200];

	for (int i = 0; i < rounds && good; i++)
	{
		uint64_t bits = next_random() & UINT64_C(0x7FFFFFFFFFFFFFFF);
		long double half;
		double value;
		double next;
		size_t length;

		/* A long double holds the half-way point exactly where the exponent is moderate. */
		bits = (bits & UINT64_C(0xFFFFFFFFFFFFF)) | (uint64_t) (1023 - 60 + i % 120) << 52;
		memcpy(&value, &bits, sizeof(value));
		next = nextafter(value, INFINITY);
		half = ((long double) value + next) / 2;
		snprintf(text, sizeof(text), "%.120Lf", half);
		good &= agrees(text);
		length = strlen(text);
		text[length - 1] = '1';
		good &= agrees(text);
		snprintf(text, sizeof(text), "%.20Le", half);
		good &= agrees(text);
		snprintf(text, sizeof(text), "%.18Le", half);
		good &= agrees(text);
	}
	ok(good, "half-way points");
}

static void
test_syntax(void)
{
	static const char *const wrong[] = {
		"",	   "-",	  "+1", ".5",  "-.5",	   "01",		"-01", "00",   "1.", "1.e5", "1e",
		"1e+", "1e-", "e5", "NaN", "Infinity", "-Infinity", "inf", "0x10", " 1", "--1",
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
	{
		const char *cursor = wrong[i];
		double value;

		if (number_double(&cursor, wrong[i] + strlen(wrong[i]), &value) != NUMBER_SYNTAX ||
			cursor != wrong[i])
		{
			/* "0x10" and "01" may also read as a number that something follows */
			if (cursor == wrong[i] + strlen(wrong[i]) || cursor == wrong[i])
			{
				printf("# \"%s\"\n", wrong[i]);
				good = false;
			}
		}
	}
	ok(good, "what is not a number is refused");
}

static void
test_integers(void)
{
	static const struct
	{
		const char *text;
		NumberStatus status;
		int64_t value;
	} cases[] = {
		{"0", NUMBER_OK, 0},
		{"-0", NUMBER_OK, 0},
		{"1583748873000000000", NUMBER_OK, INT64_C(1583748873000000000)},
		{"9223372036854775807", NUMBER_OK, INT64_MAX},
		{"9223372036854775808", NUMBER_RANGE, 0},
		{"-9223372036854775808", NUMBER_OK, INT64_MIN},
		{"-9223372036854775809", NUMBER_RANGE, 0},
		{"18446744073709551616", NUMBER_RANGE, 0},
		{"99999999999999999999999999", NUMBER_RANGE, 0},
		{"1.0", NUMBER_NOT_INTEGER, 0},
		{"1e3", NUMBER_NOT_INTEGER, 0},
		{"01", NUMBER_SYNTAX, 0},
		{"", NUMBER_SYNTAX, 0},
		{"-", NUMBER_SYNTAX, 0},
		{"x", NUMBER_SYNTAX, 0},
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const char *cursor = cases[i].text;
		int64_t value = 0;
		NumberStatus status = number_int64(&cursor, cases[i].text + strlen(cases[i].text), &value);

		if (status != cases[i].status || (status == NUMBER_OK && value != cases[i].value))
		{
			printf("# %s: status %d, %" PRId64 "\n", cases[i].text, status, value);
			good = false;
		}
	}
	ok(good, "integers and their limits");
}

int
main(int argc, char **argv)
{
	state = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t) time(NULL);
	printf("# seed %" PRIu64 "\n", state);
	number_init();
	test_fixed();
	test_round_trip(1000000);
	test_decimals(1000000);
	test_halves(100000);
	test_syntax();
	test_integers();
	printf("1..%d\n", test_number);
	return failures > 0;
}
