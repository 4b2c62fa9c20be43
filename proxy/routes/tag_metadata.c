/*
 * tag_metadata.c
 *	  What is known of a tag (historian.tag), in SQL and as JSON.
 */
#include "routes/tag_metadata.h"

static const struct
{
	const char *name;
	bool json; /* the column's text is JSON, and not a string */
} members[TAG_METADATA_COUNT] = {
	{"description", false}, {"interpolation", false}, {"max_silence", false},
	{"names", true},		{"units", true},		  {"low", true},
	{"high", true},
};

void
tag_metadata_put(Bytes *body, const PGresult *row, int first, bool all)
{
	for (int i = 0; i < TAG_METADATA_COUNT; i++)
	{
		const char *value = PQgetvalue(row, 0, first + i);
		size_t length = (size_t) PQgetlength(row, 0, first + i);
		bool null = PQgetisnull(row, 0, first + i);

		if (null && !all)
			continue;
		bytes_printf(body, ",\"%s\":", members[i].name);
		if (null)
			bytes_puts(body, "null");
		else if (members[i].json)
			bytes_append(body, value, length);
		else
			bytes_json_string(body, value, length);
	}
}
