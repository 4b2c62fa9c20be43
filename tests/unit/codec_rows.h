/*
 * codec_rows.h
 *	  Rows to encode that own their memory, and random ones of many kinds.
 */
#ifndef CODEC_ROWS_H
#define CODEC_ROWS_H

#include "codec/codec.h"

typedef struct Random
{
	uint64_t state;
} Random;

/* From the environment's SEED, or the clock. */
extern uint64_t random_seed(void);
extern uint64_t random_bits(Random *random);
extern uint32_t random_below(Random *random, uint32_t end);
extern double random_unit(Random *random);

/* What a column's values are like. */
typedef enum ColumnKind
{
	KIND_DECIMAL_WALK,	 /* a few decimals, small steps */
	KIND_DECIMALS,		 /* a few decimals, anywhere */
	KIND_MIXED_DECIMALS, /* each of another number of decimals */
	KIND_TENS,			 /* whole numbers with zeros at their end */
	KIND_FULL_WALK,		 /* all digits, small steps */
	KIND_NOISE,			 /* all digits, around zero */
	KIND_FLOAT32,
	KIND_ANY_BITS, /* NaN payloads, subnormals and all */
	KIND_SPECIAL,  /* few values: zeros of both signs, NaNs, infinities */
	KIND_PATCHED,  /* decimals, and now and then a special value */
	KIND_FEW_VALUES,
	KIND_STEPS, /* holds for long */
	KIND_CONSTANT,
	KIND_LINE,
	KIND_NARROW_WALK, /* a few decimals, steps of 11 sizes */
	KIND_PEAKED_WALK, /* a few decimals, most steps much smaller than others, and jumps */
	KIND_COUNT,
} ColumnKind;

/* How times follow each other. */
typedef enum TimeKind
{
	TIME_REGULAR,
	TIME_POISSON, /* in units of 100 us */
	TIME_ANY,	  /* in nanoseconds, small and huge gaps */
	TIME_ENDS,	  /* from one end of int64 to the other */
	TIME_COUNT,
} TimeKind;

/* Rows that own their memory; column-major if column_major. */
typedef struct OwnedRows
{
	CodecRows rows;
	int64_t *time;
	double *values;
	uint16_t *width;
	uint8_t *isnull;
} OwnedRows;

/* Zeroed; aborts when memory is short.  Rows have width and isnull only if asked for. */
extern void owned_rows_init(OwnedRows *owned, uint32_t nrows, uint32_t nvalues, bool column_major,
							bool ragged, bool nulls);
extern void owned_rows_free(OwnedRows *owned);
extern double *owned_value(OwnedRows *owned, uint32_t row, uint32_t v);
extern uint8_t *owned_isnull(OwnedRows *owned, uint32_t row, uint32_t v);

extern void fill_times(OwnedRows *owned, TimeKind kind, Random *random);
extern void fill_column(OwnedRows *owned, uint32_t v, ColumnKind kind, Random *random);

/* Rows of up to so many rows and values, everything about them at random. */
extern void random_rows(OwnedRows *owned, uint32_t most_rows, uint32_t most_values, Random *random);

#endif /* CODEC_ROWS_H */
