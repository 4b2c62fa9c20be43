/*
 * number.h
 *	  JSON numbers to float64 and int64, exactly as IEEE 754 rounding demands.
 */
#ifndef HISTORIAND_NUMBER_H
#define HISTORIAND_NUMBER_H

#include <stdint.h>

typedef enum NumberStatus
{
	NUMBER_OK,
	NUMBER_SYNTAX,		/* not a number of RFC 8259's grammar */
	NUMBER_RANGE,		/* rounds to an infinity, or does not fit into int64 */
	NUMBER_NOT_INTEGER, /* a fraction or an exponent where an integer is wanted */
} NumberStatus;

/* Must be called once, before any other function of this file and before threads are started. */
extern void number_init(void);

/*
 * Reads the number that *cursor points at, at most to end.  On NUMBER_OK *cursor is after it.  A
 * number that reaches end counts as complete.  In JSON text another byte must follow; the caller
 * checks that.
 */
extern NumberStatus number_double(const char **cursor, const char *end, double *value);
extern NumberStatus number_int64(const char **cursor, const char *end, int64_t *value);

#endif /* HISTORIAND_NUMBER_H */
