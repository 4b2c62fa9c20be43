/*
 * cell.h
 *	  Texts of single cells as times and values.
 *
 * A function that returns a text returns NULL, or what is wrong with the cell as the rest of a
 * sentence: "is no number".
 */
#ifndef HISTORIAN_CELL_H
#define HISTORIAN_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/timestamp.h"

typedef struct Cell
{
	const char *text;
	size_t length;
	bool is_null; /* COPY's \N; the text is empty */
} Cell;

/* How the cells of an input are written. */
typedef struct CellForm
{
	TimestampRules times;
	const char *time_zone; /* of times without an offset; NULL: these are refused */
	const char *null_text; /* what stands for NULL besides nothing at all and NULL; may be NULL */
	bool decimal_comma;
} CellForm;

/* Makes times without an offset those of a zone; returns what is wrong with its name, or NULL. */
extern const char *cell_set_time_zone(CellForm *form, const char *name);

/* wrong has TIMESTAMP_WRONG_BYTES. */
extern const char *cell_time(const CellForm *form, const Cell *cell, int64_t *time_ns, char *wrong);

/* Sets *value to a number, or to the NULL of stages. */
extern const char *cell_value(const CellForm *form, const Cell *cell, double *value);

/* Is the cell an array, as PostgreSQL or JSON write it? */
extern bool cell_is_array(const Cell *cell);

/* Reads an array into values, of which *count are used already, and at most limit may be. */
extern const char *cell_array(const CellForm *form, const Cell *cell, double *values,
							  uint32_t *count, uint32_t limit);

#endif /* HISTORIAN_CELL_H */
