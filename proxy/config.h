/*
 * config.h
 *	  The settings: read once at start, constant afterwards.
 */
#ifndef HISTORIAND_CONFIG_H
#define HISTORIAND_CONFIG_H

#include "log.h"

#include <stdbool.h>
#include <stdint.h>

extern const char historiand_version[];

#define CONFIG_MAX_THREADS 64

typedef struct Config
{
	char *listen;
	char *database;
	char *read_database; /* as database where not given */
	char *database_password_file;
	char *table;
	uint64_t threads;
	char *log_level_name;
	char *log_format_name;
	uint64_t slow_request_ms;

	/* ingest */
	uint64_t flush_interval_ms;
	uint64_t commit_delay_ms;
	uint64_t commit_timeout_ms;
	uint64_t load_timeout_ms;
	uint64_t load_nice;
	uint64_t busy_poll_us;
	uint64_t max_buffered_bytes;
	uint64_t max_body_bytes;
	char *spool_dir;
	uint64_t max_spool_bytes;
	char *dead_letter_file;

	/* queries */
	uint64_t max_queries;
	uint64_t read_connection_lifetime_ms;
	uint64_t max_queued_queries;
	uint64_t query_timeout_ms;
	uint64_t max_result_bytes;

	/* metrics of the database */
	uint64_t metrics_interval_ms;
	char *watch_tags;

	/* connections */
	uint64_t max_connections;
	uint64_t header_timeout_ms;
	uint64_t body_timeout_ms;
	uint64_t idle_timeout_ms;
	uint64_t write_timeout_ms;

	/* made of the above */
	LogLevel log_level;
	LogFormat log_format;
	char *table_sql; /* table with each part quoted, for use in SQL */
} Config;

typedef enum ConfigResult
{
	CONFIG_RUN,	  /* serve */
	CONFIG_EXIT,  /* --help, --version or --check-config did its work */
	CONFIG_WRONG, /* an error was printed that names the setting */
} ConfigResult;

/* Flags win over environment variables, those over the file, that over the defaults. */
extern ConfigResult config_read(Config *config, int argc, char **argv);

#endif /* HISTORIAND_CONFIG_H */
