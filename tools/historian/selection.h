/*
 * selection.h
 *	  The tags that a command is about, with what is known of each.
 */
#ifndef HISTORIAN_SELECTION_H
#define HISTORIAN_SELECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "target.h"

/* What the command line selects: tags by name, or else those with a prefix, or else all. */
typedef struct SelectionWishes
{
	char **tags;
	int tag_count;
	const char *prefix;
	int64_t start_ns;
	int64_t end_ns;
	bool windowed; /* start_ns <= time < end_ns; else all times */
} SelectionWishes;

typedef struct Selection
{
	PGresult *result;
	int count;
} Selection;

/*
 * Finds the tags, in the order of the command line, or else of their bytes.  with_values also finds
 * out how many values their rows have in the window.  If a tag that is named has no rows, ends the
 * program.
 */
extern void selection_open(Selection *selection, PGconn *connection, const Target *target,
						   const SelectionWishes *wishes, bool with_values);
extern void selection_close(Selection *selection);

extern const char *selection_tag(const Selection *selection, int i);
/* All rows of the tag, whatever the window. */
extern uint64_t selection_samples(const Selection *selection, int i);
/* The most values of a row in the window, or the names of values if they are more. */
extern int selection_values(const Selection *selection, int i);
/* The names of its values as PostgreSQL writes an array; "" if it has none. */
extern const char *selection_names(const Selection *selection, int i);

#endif /* HISTORIAN_SELECTION_H */
