/*
 * columns.h
 *	  Which columns of an input are the time, the tag and the values.
 */
#ifndef HISTORIAN_COLUMNS_H
#define HISTORIAN_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the command line says of them; NULL where it says nothing. */
typedef struct ColumnWishes
{
	const char *names;		/* the columns of an input that has no header, with commas between */
	bool no_header;			/* a CSV file begins with a row */
	const char *time;		/* a name or a position from 1 */
	const char *tag;		/* the same */
	const char *tag_name;	/* the tag of all rows */
	const char *values;		/* names, positions and ranges of positions, with commas between */
	bool each_is_a_tag;		/* each column of values is a tag, which has the column's name */
	const char *tag_prefix; /* put before tags; may be NULL */
} ColumnWishes;

typedef struct ColumnName
{
	const char *text;
	size_t length;
} ColumnName;

typedef struct Columns
{
	size_t count;
	size_t time;
	size_t tag; /* SIZE_MAX: there is none */
	size_t *values;
	size_t value_count;
	char **names; /* of the values' columns; NULL: they have none */
} Columns;

/*
 * Finds the columns among count of them; names is NULL where they have none.  Returns NULL, or
 * what is wrong, which columns_free() frees.
 */
extern const char *columns_find(Columns *columns, const ColumnWishes *wishes,
								const ColumnName *names, size_t count);
extern void columns_free(Columns *columns);

#endif /* HISTORIAN_COLUMNS_H */
