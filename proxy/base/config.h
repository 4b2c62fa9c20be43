/*
 * config.h
 *	  The settings.  They are read at start; SIGHUP changes some of them while the server runs.
 */
#ifndef HISTORIAND_CONFIG_H
#define HISTORIAND_CONFIG_H

#include "base/log.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

extern const char historiand_version[];

#define CONFIG_MAX_THREADS 64

/* A thread reads it each time it needs it, because config_reload() may change it. */
typedef _Atomic uint64_t LiveSetting;

#define CONFIG_MAX_LISTENS 16

/* One address to serve on. */
typedef struct ListenAddress
{
	char text[128];					 /* as it was given */
	struct sockaddr_storage address; /* a sockaddr_un for a socket in the file system */
	bool health;					 /* for health and metrics alone */
} ListenAddress;

/* Which server answers reads (--read-from). */
typedef enum ReadFrom
{
	READ_FROM_PRIMARY,
	READ_FROM_STANDBY,
	READ_FROM_ANY,
} ReadFrom;

typedef struct Config
{
	char *listen; /* a list, as the next one */
	char *listen_health;
	char *insecure_name;
	char *allowed_hosts;
	char *cors_origin; /* a list */
	char *tokens_file;
	char *tls_certificate;
	char *tls_key;
	char *tls_client_ca;
	char *database;
	char *read_database; /* the same as database if it is not given */
	char *read_from_name;
	LiveSetting max_read_lag_ms;
	LiveSetting min_commit_wait_ms;
	char *database_password_file;
	char *table;
	uint64_t threads;
	char *log_level_name;
	char *log_format_name;
	LiveSetting slow_request_ms;

	/* ingest */
	LiveSetting flush_interval_ms;
	LiveSetting commit_delay_ms;
	LiveSetting commit_timeout_ms;
	uint64_t load_timeout_ms;
	uint64_t load_nice;
	LiveSetting busy_poll_us;
	uint64_t max_buffered_bytes;
	LiveSetting max_body_bytes;
	char *line_strings;
	char *unit_check_name;
	char *spool_dir;
	uint64_t max_spool_bytes;
	char *dead_letter_file;

	/* queries */
	uint64_t max_queries;
	LiveSetting read_connection_lifetime_ms;
	uint64_t max_queued_queries;
	LiveSetting query_timeout_ms;
	uint64_t max_result_bytes;

	/* metrics of the database */
	uint64_t metrics_interval_ms;
	char *watch_tags;

	/* silent tags; 0: only those with an allowed silence of their own */
	LiveSetting stale_after_ms;
	LiveSetting stale_interval_ms;
	LiveSetting stale_timeout_ms;
	char *stale_webhook; /* may have a password in it */
	char *stale_command;
	char *stale_notify;

	/* connections */
	uint64_t max_connections;
	LiveSetting header_timeout_ms;
	LiveSetting body_timeout_ms;
	LiveSetting idle_timeout_ms;
	LiveSetting write_timeout_ms;

	/* on each client, by its token or address; 0: none */
	LiveSetting limit_connections;
	LiveSetting limit_requests;
	LiveSetting limit_messages;
	LiveSetting limit_queries;

	/* derived from the above */
	ListenAddress listens[CONFIG_MAX_LISTENS];
	int listen_count;
	bool loopback; /* only this machine reaches the addresses */
	bool insecure; /* of insecure_name */
	LogLevel log_level;
	LogFormat log_format;
	ReadFrom read_from;
	bool skip_strings;		/* of line_strings */
	bool unit_check;		/* of unit_check_name */
	char **stale_arguments; /* of stale_command, with NULL at the end; NULL: there is none */
	char *table_sql;		/* table with each part quoted, for use in SQL */
} Config;

typedef enum ConfigResult
{
	CONFIG_RUN,	  /* serve */
	CONFIG_CHECK, /* --check-config: the settings are valid; try what they name */
	CONFIG_EXIT,  /* --help or --version did its work */
	CONFIG_WRONG, /* an error was printed that names the setting */
} ConfigResult;

/* A flag wins over an environment variable, a variable over the file, the file over the default. */
extern ConfigResult config_read(Config *config, int argc, char **argv);

/*
 * Reads flags, environment and file again.  Takes over the LiveSettings and the settings of the
 * log, and logs a warning for each other setting that has changed.  If a setting is wrong, logs
 * why, changes nothing and returns false.  Only the thread that called config_read() may call this.
 */
extern bool config_reload(Config *config);

/* Reads a duration as settings have it, such as 250ms; false if the text is none. */
extern bool config_read_duration(const char *text, uint64_t *ms);

#endif /* HISTORIAND_CONFIG_H */
