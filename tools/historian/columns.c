/*
 * columns.c
 *	  Which columns of an input are the time, the tag and the values.
 */
#include "columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

/* Looked for in this order, whatever the case of their letters. */
static const char *const time_names[] = {
	"time", "timestamp", "ts", "_time", "datetime", "date_time", "time_ns", "timestamp_ns", NULL};
static const char *const tag_names[] = {"tag",	  "tagname", "tag_name", "name", "series",
										"metric", "sensor",	 "device",	 NULL};

static char wrong[1400];

static size_t
find_name(const ColumnName *names, size_t count, const char *name, size_t length, bool exact)
{
	for (size_t i = 0; names != NULL && i < count; i++)
	{
		if (names[i].length == length && (exact ? memcmp(names[i].text, name, length)
												: strncasecmp(names[i].text, name, length)) == 0)
			return i;
	}
	return SIZE_MAX;
}

/* Finds a column by its name, else by its position from 1. */
static size_t
find_column(const ColumnName *names, size_t count, const char *name, size_t length)
{
	size_t found = find_name(names, count, name, length, true);
	char *end;
	unsigned long position;

	if (found != SIZE_MAX)
		return found;
	position = strtoul(name, &end, 10);
	if (length > 0 && name[0] >= '0' && name[0] <= '9' && end == name + length && position >= 1 &&
		position <= count)
		return position - 1;
	return SIZE_MAX;
}

/* What is wrong where a column is not found: the text names those that there are. */
static const char *
not_found(const ColumnName *names, size_t count, const char *what, const char *name, size_t length)
{
	size_t used = (size_t) snprintf(wrong, sizeof(wrong), "%s \"%.*s\": there is no such column; ",
									what, (int) (length < 200 ? length : 200), name);

	if (names == NULL)
		snprintf(wrong + used, sizeof(wrong) - used, "there are %zu, without names", count);
	else
		used += (size_t) snprintf(wrong + used, sizeof(wrong) - used, "there are");
	/* What is left has room for a hint. */
	for (size_t i = 0; names != NULL && i < count && used < sizeof(wrong) - 480; i++)
		used +=
			(size_t) snprintf(wrong + used, sizeof(wrong) - used, "%s %.*s", i > 0 ? "," : "",
							  (int) (names[i].length < 60 ? names[i].length : 60), names[i].text);
	return wrong;
}

/* What is wrong where an option was not given and no column has a usual name. */
static const char *
not_given(const ColumnName *names, size_t count, const char *what, const char *usual,
		  const char *cure)
{
	not_found(names, count, what, usual, strlen(usual));
	strncat(wrong, "\n  hint: ", sizeof(wrong) - strlen(wrong) - 1);
	strncat(wrong, cure, sizeof(wrong) - strlen(wrong) - 1);
	return wrong;
}

/* The column that the wish names, else the first that has a usual name, else the fallback. */
static const char *
find_one(size_t *column, const char *what, const char *wish, const char *const *usual,
		 size_t fallback, const ColumnName *names, size_t count)
{
	*column = SIZE_MAX;
	if (wish != NULL)
	{
		*column = find_column(names, count, wish, strlen(wish));
		return *column == SIZE_MAX ? not_found(names, count, what, wish, strlen(wish)) : NULL;
	}
	for (size_t i = 0; usual[i] != NULL && *column == SIZE_MAX; i++)
		*column = find_name(names, count, usual[i], strlen(usual[i]), false);
	if (*column == SIZE_MAX)
		*column = fallback;
	return NULL;
}

static void
add_value(Columns *columns, size_t column)
{
	columns->values[columns->value_count++] = column;
}

/* Adds a range of positions such as 3-12; false if it is none. */
static bool
add_range(Columns *columns, const char *text, size_t length)
{
	unsigned first, last;
	int used = 0;
	char copy[32];

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (sscanf(copy, "%u-%u%n", &first, &last, &used) != 2 || (size_t) used != length ||
		first < 1 || last < first || last > columns->count ||
		columns->value_count + last - first + 1 > columns->count)
		return false;
	for (unsigned i = first; i <= last; i++)
		add_value(columns, i - 1);
	return true;
}

static const char *
find_values(Columns *columns, const char *wish, const ColumnName *names, size_t count)
{
	columns->values = memory_new((count + 1) * sizeof(size_t));
	if (wish == NULL)
	{
		for (size_t i = 0; i < count; i++)
		{
			if (i != columns->time && i != columns->tag)
				add_value(columns, i);
		}
		return columns->value_count > 0 ? NULL : "there is no column left for the values";
	}
	for (const char *text = wish;; text++)
	{
		size_t length = strcspn(text, ",");
		size_t column = find_column(names, count, text, length);

		if (column != SIZE_MAX && columns->value_count < count)
			add_value(columns, column);
		else if (column != SIZE_MAX || !add_range(columns, text, length))
			return not_found(names, count, "--values", text, length);
		text += length;
		if (*text == '\0')
			return NULL;
	}
}

/* Copies the names of the columns of values. */
static void
copy_names(Columns *columns, const ColumnName *names)
{
	columns->names = memory_new(columns->value_count * sizeof(char *));
	for (size_t i = 0; i < columns->value_count; i++)
	{
		const ColumnName *name = &names[columns->values[i]];

		columns->names[i] = memory_new(name->length + 1);
		memcpy(columns->names[i], name->text, name->length);
	}
}

const char *
columns_find(Columns *columns, const ColumnWishes *wishes, const ColumnName *names, size_t count)
{
	const char *problem;
	bool has_tag = wishes->tag_name == NULL && !wishes->each_is_a_tag;

	columns->count = count;
	columns->tag = SIZE_MAX;
	problem = find_one(&columns->time, "--time", wishes->time, time_names,
					   names == NULL ? 0 : SIZE_MAX, names, count);
	if (problem == NULL && columns->time == SIZE_MAX)
		problem = not_given(names, count, "--time", "time",
							"--time COLUMN names the one that has the times");
	if (problem == NULL && has_tag)
		problem = find_one(&columns->tag, "--tag", wishes->tag, tag_names,
						   names == NULL && count > 1 ? 1 : SIZE_MAX, names, count);
	if (problem == NULL && has_tag && columns->tag == SIZE_MAX)
		problem = not_given(names, count, "--tag", "tag",
							"--tag COLUMN names it, --tag-name TEXT is the tag of all rows, and "
							"with --columns-are-tags each column is a tag");
	if (problem == NULL)
		problem = find_values(columns, wishes->values, names, count);
	if (problem == NULL && names != NULL)
		copy_names(columns, names);
	if (problem == NULL && names == NULL && wishes->each_is_a_tag)
		problem = "--columns-are-tags needs the names of the columns: a header, or --columns";
	return problem;
}

void
columns_free(Columns *columns)
{
	for (size_t i = 0; columns->names != NULL && i < columns->value_count; i++)
		free(columns->names[i]);
	free(columns->names);
	free(columns->values);
	*columns = (Columns){0};
}
