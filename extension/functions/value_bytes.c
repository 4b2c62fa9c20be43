/*
 * value_bytes.c
 *	  historian.value_bytes(): the values of a row as bytes, for programs that read many rows.
 *
 * PostgreSQL's own binary form of an array has a length before each value, and a function call
 * makes each one, which takes most of the time of a COPY.  These bytes are made by one loop.
 */
#include "postgres.h"

#include "fmgr.h"
#include "port/pg_bswap.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(historian_value_bytes);

/* An array has fewer values than a gigabyte has room for. */
#define MAX_COLUMNS 16777216

static void put_values(char *out, const ArrayType *array, int count);
static void put_with_nulls(char *out, const ArrayType *array, int count, int columns);

/*
 * historian.value_bytes(values float8[], columns integer) returns bytea
 *
 * The bytes have 8 for each column, in network byte order; and, only if one is NULL, a bit for each
 * column after them, which is 1 where the column has a value, the first column's in the lowest bit.
 */
Datum
historian_value_bytes(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			columns = PG_GETARG_INT32(1);
	int			ndim = ARR_NDIM(array);
	int			count = ndim == 0 ? 0 : ARR_DIMS(array)[0];
	bool		nulls = count < columns || array_contains_nulls(array);
	Size		size;
	bytea	   *result;

	if (columns < 0 || columns > MAX_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of columns must be between 0 and %d", MAX_COLUMNS)));
	if (ndim > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("values must have one dimension, not %d", ndim)));
	if (count > columns)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("a row has %d values, more values than the %d columns", count, columns),
				 errhint("The row may have come after the columns were counted: count them again.")));
	size = VARHDRSZ + (Size) columns * sizeof(float8) + (nulls ? ((Size) columns + 7) / 8 : 0);
	result = palloc(size);
	SET_VARSIZE(result, size);
	if (nulls)
		put_with_nulls(VARDATA(result), array, count, columns);
	else
		put_values(VARDATA(result), array, count);
	PG_RETURN_BYTEA_P(result);
}

static inline void
put_value(char *out, const char *value)
{
	uint64		bits;

	memcpy(&bits, value, sizeof(bits));
	bits = pg_hton64(bits);
	memcpy(out, &bits, sizeof(bits));
}

static void
put_values(char *out, const ArrayType *array, int count)
{
	const char *values = ARR_DATA_PTR(array);

	for (int i = 0; i < count; i++)
		put_value(out + i * sizeof(float8), values + i * sizeof(float8));
}

static void
put_with_nulls(char *out, const ArrayType *array, int count, int columns)
{
	const char *next = ARR_DATA_PTR(array);
	const bits8 *present = ARR_NULLBITMAP(array);
	char	   *bits = out + (Size) columns * sizeof(float8);

	memset(out, 0, (Size) columns * sizeof(float8) + ((Size) columns + 7) / 8);
	for (int i = 0; i < count; i++)
	{
		if (present != NULL && !(present[i / 8] >> i % 8 & 1))
			continue;
		put_value(out + i * sizeof(float8), next);
		bits[i / 8] |= 1 << i % 8;
		next += sizeof(float8);
	}
}
