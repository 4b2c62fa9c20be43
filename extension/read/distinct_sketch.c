/*
 * distinct_sketch.c
 *	  About how many different values there are, in bounded memory.
 */
#include "postgres.h"

#include "read/distinct_sketch.h"

#include <math.h>


#include "compat.h"

/* 2^16 registers of a byte. */
#define WIDTH 16

/* The bits of a hash that a register looks at, and the greatest value that it takes. */
#define RANK_BITS (32 - WIDTH)
#define MAX_RANK (RANK_BITS + 1)

#define HASHES 0x1p32

/* So many values are kept themselves, in a table of twice as many slots. */
#define FEW 1024
#define FEW_SLOTS (2 * FEW)

/* The bits of a NaN that no value has, because all NaN are made the same. */
#define EMPTY PG_UINT64_MAX

static void add_to_few(DistinctSketch *sketch, uint64 bits);
static uint32 hash_of(uint64 bits);
static double sigma(double x);
static double tau(double x);

void
distinct_sketch_init(DistinctSketch *sketch)
{
	sketch->context = CurrentMemoryContext;
	sketch->few = palloc_array(uint64, FEW_SLOTS);
	memset(sketch->few, 0xff, sizeof(uint64) * FEW_SLOTS);
	sketch->nfew = 0;
	sketch->last = EMPTY;
}

void
distinct_sketch_add(DistinctSketch *sketch, const double *values, uint32 nvalues)
{
	for (uint32 i = 0; i < nvalues; i++)
	{
		double		value = isnan(values[i]) ? NAN : values[i] + 0.0;	/* -0 becomes 0 */
		uint64		bits;

		memcpy(&bits, &value, sizeof(bits));
		if (bits == sketch->last)
			continue;
		sketch->last = bits;
		if (sketch->few != NULL)
			add_to_few(sketch, bits);
		else
			addHyperLogLog(&sketch->registers, hash_of(bits));
	}
}

double
distinct_sketch_estimate(const DistinctSketch *sketch)
{
	double		registers = (double) ((Size) 1 << WIDTH);
	uint32		counts[MAX_RANK + 1] = {0};
	double		z;
	double		hashes;

	if (sketch->few != NULL)
		return sketch->nfew;
	for (Size i = 0; i < sketch->registers.nRegisters; i++)
		counts[Min(sketch->registers.hashesArr[i], MAX_RANK)]++;
	z = registers * tau(1 - counts[MAX_RANK] / registers);
	for (int rank = RANK_BITS; rank >= 1; rank--)
		z = (z + counts[rank]) / 2;
	z += registers * sigma(counts[0] / registers);
	hashes = registers * registers / (2 * M_LN2 * z);

	/* different values may have one hash */
	return hashes < HASHES ? -HASHES * log1p(-hashes / HASHES) : hashes;
}

/* Keeps a value unless it is there; the registers take over once there are too many. */
static void
add_to_few(DistinctSketch *sketch, uint64 bits)
{
	uint32		slot = hash_of(bits) % FEW_SLOTS;
	MemoryContext before;

	for (; sketch->few[slot] != EMPTY; slot = (slot + 1) % FEW_SLOTS)
		if (sketch->few[slot] == bits)
			return;
	if (sketch->nfew < FEW)
	{
		sketch->few[slot] = bits;
		sketch->nfew++;
		return;
	}
	before = MemoryContextSwitchTo(sketch->context);
	initHyperLogLog(&sketch->registers, WIDTH);
	MemoryContextSwitchTo(before);
	addHyperLogLog(&sketch->registers, hash_of(bits));
	for (uint32 i = 0; i < FEW_SLOTS; i++)
		if (sketch->few[i] != EMPTY)
			addHyperLogLog(&sketch->registers, hash_of(sketch->few[i]));
	pfree(sketch->few);
	sketch->few = NULL;
}

/* Mixes all bits of a double (the end of MurmurHash3), and takes half of them. */
static uint32
hash_of(uint64 bits)
{
	bits ^= bits >> 33;
	bits *= UINT64CONST(0xff51afd7ed558ccd);
	bits ^= bits >> 33;
	bits *= UINT64CONST(0xc4ceb9fe1a85ec53);
	bits ^= bits >> 33;
	return (uint32) (bits >> 32);
}

/* Ertl's sigma: x + sum of 2^(k-1) * x^(2^k) */
static double
sigma(double x)
{
	double		y = 1;
	double		z = x;
	double		before;

	if (x == 1)
		return INFINITY;
	do
	{
		x *= x;
		before = z;
		z += x * y;
		y += y;
	} while (z != before);
	return z;
}

/* Ertl's tau: (1 - x - sum of 2^-k * (1 - x^(2^-k))^2) / 3 */
static double
tau(double x)
{
	double		y = 1;
	double		z = 1 - x;
	double		before;

	if (x == 0 || x == 1)
		return 0;
	do
	{
		x = sqrt(x);
		before = z;
		y /= 2;
		z -= (1 - x) * (1 - x) * y;
	} while (z != before);
	return z / 3;
}
