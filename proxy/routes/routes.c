/*
 * routes.c
 *	  The list of all routes.
 */
#include "routes/routes.h"

#include <string.h>

/* What follows in the path is a tag, which may have slashes. */
#define TAGS_PREFIX "/tags/"

/* Unless it ends so: then the tag ends before. */
#define RENAME_SUFFIX "/rename"

static const Route *const routes[] = {
	&route_save,	&route_write,  &route_write_v2, &route_ping,	&route_influx_query,
	&route_api,		&route_tags,   &route_latest,	&route_export,	&route_livez,
	&route_healthz, &route_readyz, &route_health,	&route_metrics, &route_progress,
	&route_stream,	&route_stale,  &route_samples,	&route_summary,
};

/* Does the path end with the suffix, and has it a tag before that? */
static bool
ends_in_rename(const char *path, size_t length)
{
	size_t suffix = strlen(RENAME_SUFFIX);

	return length > strlen(TAGS_PREFIX) + suffix &&
		   memcmp(path + length - suffix, RENAME_SUFFIX, suffix) == 0;
}

const Route *
routes_find(const char *path, size_t length)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
	{
		if (strlen(routes[i]->path) == length && memcmp(routes[i]->path, path, length) == 0)
			return routes[i];
	}
	if (length > strlen(TAGS_PREFIX) && memcmp(path, TAGS_PREFIX, strlen(TAGS_PREFIX)) == 0)
		return ends_in_rename(path, length) ? &route_rename : &route_tag;
	return route_file_serves(path, length) ? &route_file : NULL;
}

void
routes_put_paths(Bytes *json)
{
	bytes_puts(json, "[");
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		bytes_printf(json, "\"%s\",", routes[i]->path);
	bytes_printf(json, "\"%s\",\"%s\",\"/openapi.json\",\"/\"]", route_tag.path, route_rename.path);
}
