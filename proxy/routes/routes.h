/*
 * routes.h
 *	  The list of all routes.
 */
#ifndef HISTORIAND_ROUTES_H
#define HISTORIAND_ROUTES_H

#include "http/http_exchange.h"

/* Finds the route of a path; NULL: there is none. */
extern const Route *routes_find(const char *path, size_t length);

/* Appends the paths as a list in JSON; of the page's files only the page. */
extern void routes_put_paths(Bytes *json);

extern const Route route_save;	/* route_save.c */
extern const Route route_write; /* route_write.c, with the next three */
extern const Route route_write_v2;
extern const Route route_ping;
extern const Route route_influx_query;
extern const Route route_api;	   /* route_api.c */
extern const Route route_tags;	   /* route_tags.c */
extern const Route route_tag;	   /* route_tag.c */
extern const Route route_rename;   /* route_rename.c */
extern const Route route_samples;  /* route_samples.c */
extern const Route route_summary;  /* route_summary.c */
extern const Route route_latest;   /* route_latest.c */
extern const Route route_stale;	   /* route_stale.c */
extern const Route route_export;   /* route_export.c */
extern const Route route_progress; /* route_progress.c */
extern const Route route_stream;   /* route_stream.c */
extern const Route route_livez;	   /* route_status.c, with the next four */
extern const Route route_healthz;
extern const Route route_readyz;
extern const Route route_health;
extern const Route route_metrics;
extern const Route route_file; /* route_file.c */

/* Is there a file in the program for the path? */
extern bool route_file_serves(const char *path, size_t length);

#endif /* HISTORIAND_ROUTES_H */
