/*
 * workload.c
 *	  The messages that the producer sends and the client expects.
 *
 * Random numbers are those of SplitMix64 (Steele, Lea and Flood 2014), by counter: number i of a
 * stream is mix(key + i * gamma), so that none depends on the one before.  A tag is drawn by binary
 * search in cumulative probabilities of 53 bits; a table gives the range of the search for each
 * value of the leading bits.  The probabilities are computed by basic operations on doubles,
 * without libm, so that all machines agree on them.
 *
 * A plant's tags come in an order that a multiplication gives: the tag at place p of each second is
 * p * stride modulo their number, which has no divisor in common with the stride.
 */
#include "workload.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plant.h"

#define NS_PER_S	INT64_C(1000000000)
#define GAMMA		UINT64_C(0x9E3779B97F4A7C15)
#define DRAW_BITS	53
#define GUIDE_BITS	12
#define GUIDE_SLOTS (1 << GUIDE_BITS)

/* A tag has this share of the messages that the tags before it leave. */
#define TAG_SHARE 0.01

/* First values are between 0 and this; a plant's steps are so much smaller than those of 1. */
#define FIRST_VALUE_RANGE  100
#define PLANT_STEP_DIVISOR 20

struct Workload
{
	WorkloadOptions options;
	int64_t scale;
	uint64_t step;			/* the largest step of a value, in units */
	uint64_t base_messages; /* of a period before its peak */
	uint64_t peak_messages; /* of a period in its peak */
	uint64_t tag_key;
	uint64_t step_key;
	uint64_t stride;				 /* of a plant; 0: the workload is skewed */
	uint64_t inverse;				 /* stride * inverse is 1 modulo the number of tags */
	uint64_t *tag_limits;			 /* tag k is drawn below tag_limits[k] and not below [k - 1] */
	uint32_t guide[GUIDE_SLOTS + 1]; /* the first tag of each slot of leading bits */
};

static uint64_t mix(uint64_t z);
static void set_tag_limits(Workload *workload);
static void set_stride(Workload *workload);
static uint64_t messages_within(uint64_t offset_ns, uint32_t rate);
static char *write_digits(char *out, uint64_t number);
static char *write_decimal(char *out, int64_t units, int64_t scale, uint32_t decimals);

const char *
workload_check(const WorkloadOptions *options)
{
	if (options->rate < 1 || options->rate > WORKLOAD_MAX_RATE)
		return "the rate must be 1 to 100,000,000 messages a second";
	if (options->kind != WORKLOAD_SKEWED &&
		(options->rate != options->tags || options->peak_rate > 0))
		return "a plant has as many messages a second as tags, and no peaks";
	if (options->peak_rate > WORKLOAD_MAX_RATE)
		return "the peak rate must be at most 100,000,000 messages a second";
	if (options->peak_rate > 0 &&
		(options->peak_length_s < 1 || options->peak_every_s <= options->peak_length_s))
		return "a peak must be shorter than its period and last a second or more";
	if (options->tags < 1 || options->tags > WORKLOAD_MAX_TAGS)
		return "the number of tags must be 1 to 10,000,000";
	if (options->values < 1 || options->values > WORKLOAD_MAX_VALUES)
		return "the number of values must be 1 to 1,000";
	if (options->decimals > WORKLOAD_MAX_DECIMALS)
		return "the number of decimals must be 0 to 6";
	if (options->seed > WORKLOAD_MAX_SEED)
		return "the seed must be below 2^53";
	return NULL;
}

Workload *
workload_open(const WorkloadOptions *options)
{
	Workload *workload = calloc(1, sizeof(*workload));

	if (workload != NULL && options->kind == WORKLOAD_SKEWED)
		workload->tag_limits = calloc(options->tags, sizeof(*workload->tag_limits));
	if (workload == NULL || (options->kind == WORKLOAD_SKEWED && workload->tag_limits == NULL))
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	workload->options = *options;
	workload->scale = 1;
	for (uint32_t i = 0; i < options->decimals; i++)
		workload->scale *= 10;
	if (options->peak_rate > 0)
	{
		uint32_t base_s = options->peak_every_s - options->peak_length_s;

		workload->base_messages = (uint64_t) options->rate * base_s;
		workload->peak_messages = (uint64_t) options->peak_rate * options->peak_length_s;
	}
	workload->tag_key = mix(options->seed ^ UINT64_C(0x7461672064726177));
	workload->step_key = mix(options->seed ^ UINT64_C(0x76616c7565737465));
	workload->step = (uint64_t) workload->scale;
	if (options->kind == WORKLOAD_SKEWED)
		set_tag_limits(workload);
	else
	{
		workload->step =
			workload->step < PLANT_STEP_DIVISOR ? 1 : workload->step / PLANT_STEP_DIVISOR;
		set_stride(workload);
	}
	return workload;
}

void
workload_close(Workload *workload)
{
	if (workload == NULL)
		return;
	free(workload->tag_limits);
	free(workload);
}

const WorkloadOptions *
workload_options(const Workload *workload)
{
	return &workload->options;
}

int64_t
workload_scale(const Workload *workload)
{
	return workload->scale;
}

int64_t
workload_time(const Workload *workload, uint64_t message)
{
	const WorkloadOptions *options = &workload->options;
	uint64_t period = workload->base_messages + workload->peak_messages;
	uint64_t offset = 0;
	uint32_t rate = options->rate;

	if (options->kind == WORKLOAD_PLANT_AT_ONCE)
		return options->start_ns + (int64_t) (message / rate) * NS_PER_S;
	if (options->peak_rate > 0)
	{
		offset = message / period * options->peak_every_s * NS_PER_S;
		message %= period;
		if (message >= workload->base_messages)
		{
			offset += (uint64_t) (options->peak_every_s - options->peak_length_s) * NS_PER_S;
			message -= workload->base_messages;
			rate = options->peak_rate;
		}
	}
	offset += (uint64_t) ((unsigned __int128) message * NS_PER_S / rate);
	return options->start_ns + (int64_t) offset;
}

uint64_t
workload_count(const Workload *workload, int64_t time_ns)
{
	const WorkloadOptions *options = &workload->options;
	uint64_t offset, period_ns, base_ns, count;

	if (time_ns < options->start_ns)
		return 0;
	offset = (uint64_t) time_ns - (uint64_t) options->start_ns;
	if (options->kind == WORKLOAD_PLANT_AT_ONCE)
		return (offset / NS_PER_S + 1) * options->rate;
	if (options->peak_rate == 0)
		return messages_within(offset, options->rate);

	period_ns = (uint64_t) options->peak_every_s * NS_PER_S;
	base_ns = period_ns - (uint64_t) options->peak_length_s * NS_PER_S;
	count = offset / period_ns * (workload->base_messages + workload->peak_messages);
	offset %= period_ns;
	if (offset < base_ns)
		return count + messages_within(offset, options->rate);
	return count + workload->base_messages + messages_within(offset - base_ns, options->peak_rate);
}

uint32_t
workload_tag(const Workload *workload, uint64_t message)
{
	uint64_t draw, slot;
	uint32_t low, high;

	if (workload->stride > 0)
		return (uint32_t) (message % workload->options.tags * workload->stride %
						   workload->options.tags);
	draw = mix(workload->tag_key + message * GAMMA) >> (64 - DRAW_BITS);
	slot = draw >> (DRAW_BITS - GUIDE_BITS);
	low = workload->guide[slot];
	high = workload->guide[slot + 1];
	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;

		if (draw < workload->tag_limits[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

uint64_t
workload_plant_count(const Workload *workload, uint32_t tag, uint64_t messages)
{
	uint32_t tags = workload->options.tags;
	uint64_t place = tag * workload->inverse % tags;

	return messages / tags + (place < messages % tags);
}

void
workload_step(const Workload *workload, uint32_t tag, uint64_t n, int64_t *values)
{
	uint32_t count = workload->options.values;
	uint64_t key = mix(workload->step_key + (tag + UINT64_C(1)) * GAMMA);
	uint64_t counter = n * ((count + 1) / 2);

	if (n == 0)
	{
		uint64_t range = (uint64_t) workload->scale * FIRST_VALUE_RANGE + 1;

		for (uint32_t i = 0; i < count; i++)
			values[i] = (int64_t) (mix(~key + i * GAMMA) % range);
		return;
	}
	for (uint32_t i = 0; i < count; i += 2)
	{
		uint64_t draw = mix(key + counter++ * GAMMA);
		uint64_t range = workload->step * 2 + 1;

		values[i] += (int64_t) (((draw >> 32) * range) >> 32) - (int64_t) workload->step;
		if (i + 1 < count)
			values[i + 1] +=
				(int64_t) (((draw & UINT32_MAX) * range) >> 32) - (int64_t) workload->step;
	}
}

size_t
workload_tag_name(const Workload *workload, uint32_t tag, char name[WORKLOAD_TAG_BYTES])
{
	char *out = name;

	if (workload->stride > 0)
		return plant_tag_name(tag, name);
	*out++ = 't';
	for (uint32_t limit = 1000; limit > 1 && tag < limit; limit /= 10)
		*out++ = '0';
	out = write_digits(out, tag);
	*out = '\0';
	return (size_t) (out - name);
}

uint32_t
workload_tag_number(const Workload *workload, const char *name, size_t length)
{
	char right[WORKLOAD_TAG_BYTES];
	uint64_t tag = 0;

	if (workload->stride > 0)
		tag = plant_tag_number(name, length);
	else
		for (size_t i = 1; i < length && tag < UINT32_MAX && name[i] >= '0' && name[i] <= '9'; i++)
			tag = tag * 10 + (uint64_t) (name[i] - '0');
	if (tag >= workload->options.tags ||
		workload_tag_name(workload, (uint32_t) tag, right) != length ||
		memcmp(name, right, length) != 0)
		return UINT32_MAX;
	return (uint32_t) tag;
}

size_t
workload_max_json_bytes(const Workload *workload)
{
	return 64 + WORKLOAD_TAG_BYTES + (size_t) workload->options.values * 24;
}

size_t
workload_json(const Workload *workload, int64_t time_ns, uint32_t tag, const int64_t *values,
			  char *out)
{
	char *start = out;

#define PUT(text) (memcpy(out, text, sizeof(text) - 1), out += sizeof(text) - 1)
	PUT("{\"time\":");
	out = write_decimal(out, time_ns, 1, 0);
	PUT(",\"tag\":\"");
	out += workload_tag_name(workload, tag, out);
	PUT("\",\"values\":[");
	for (uint32_t i = 0; i < workload->options.values; i++)
	{
		if (i > 0)
			*out++ = ',';
		out = write_decimal(out, values[i], workload->scale, workload->options.decimals);
	}
	PUT("]}");
#undef PUT
	return (size_t) (out - start);
}

static uint64_t
mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Computes the cumulative probabilities of the tags, and the table of the leading bits. */
static void
set_tag_limits(Workload *workload)
{
	uint32_t tags = workload->options.tags;
	double all = (double) (UINT64_C(1) << DRAW_BITS);
	double left = 1;
	uint32_t tag = 0;

	for (uint32_t i = 0; i < tags; i++)
		left *= 1 - TAG_SHARE;
	all /= 1 - left;
	left = 1;
	for (uint32_t i = 0; i < tags; i++)
	{
		left *= 1 - TAG_SHARE;
		workload->tag_limits[i] = (uint64_t) ((1 - left) * all);
	}
	workload->tag_limits[tags - 1] = UINT64_C(1) << DRAW_BITS;
	for (uint32_t slot = 0; slot < GUIDE_SLOTS; slot++)
	{
		while ((uint64_t) slot << (DRAW_BITS - GUIDE_BITS) >= workload->tag_limits[tag])
			tag++;
		workload->guide[slot] = tag;
	}
	workload->guide[GUIDE_SLOTS] = tags - 1;
}

/*
 * Computes a plant's stride, which is about the golden ratio of the number of tags, so that tags
 * that are near to each other come far apart, and its inverse by Euclid's algorithm.
 */
static void
set_stride(Workload *workload)
{
	int64_t tags = workload->options.tags;
	int64_t stride = tags * 618 / 1000;
	int64_t divisor, inverse;

	do
	{
		int64_t rest = ++stride;
		int64_t next_inverse = 1;

		divisor = tags;
		inverse = 0;
		while (rest > 0)
		{
			int64_t quotient = divisor / rest;
			int64_t t = divisor - quotient * rest;

			divisor = rest;
			rest = t;
			t = inverse - quotient * next_inverse;
			inverse = next_inverse;
			next_inverse = t;
		}
	} while (divisor != 1);
	workload->stride = (uint64_t) stride;
	workload->inverse = (uint64_t) ((inverse % tags + tags) % tags);
}

/* How many of the times i / rate, for i from 0, are at or before the offset. */
static uint64_t
messages_within(uint64_t offset_ns, uint32_t rate)
{
	unsigned __int128 product = ((unsigned __int128) offset_ns + 1) * rate;

	return (uint64_t) ((product + NS_PER_S - 1) / NS_PER_S);
}

/* Writes a number, two digits at a time, and returns its end. */
static char *
write_digits(char *out, uint64_t number)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
								"25262728293031323334353637383940414243444546474849"
								"50515253545556575859606162636465666768697071727374"
								"75767778798081828384858687888990919293949596979899";
	char digits[20];
	char *first = digits + sizeof(digits);

	while (number >= 100)
	{
		first -= 2;
		memcpy(first, pairs + number % 100 * 2, 2);
		number /= 100;
	}
	if (number >= 10)
	{
		first -= 2;
		memcpy(first, pairs + number * 2, 2);
	}
	else
		*--first = (char) ('0' + number);
	memcpy(out, first, (size_t) (digits + sizeof(digits) - first));
	return out + (digits + sizeof(digits) - first);
}

/* Writes units / scale with all of its decimals, and returns its end. */
static char *
write_decimal(char *out, int64_t units, int64_t scale, uint32_t decimals)
{
	uint64_t magnitude = units < 0 ? 0 - (uint64_t) units : (uint64_t) units;
	uint64_t fraction;

	if (units < 0)
		*out++ = '-';
	if (decimals == 0)
		return write_digits(out, magnitude);
	out = write_digits(out, magnitude / (uint64_t) scale);
	fraction = magnitude % (uint64_t) scale;
	*out = '.';
	for (uint32_t i = decimals; i > 0; i--)
	{
		out[i] = (char) ('0' + fraction % 10);
		fraction /= 10;
	}
	return out + decimals + 1;
}
