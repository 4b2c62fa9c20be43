/*
 * config.c
 *	  The settings, which flags, environment and file give, and which one table describes.
 *
 * A setting "flush-interval" is the flag --flush-interval, the environment variable
 * HISTORIAND_FLUSH_INTERVAL and the line "flush-interval = 1s" of the file given by --config.
 * A new setting takes a member of Config and a line of the table below.
 */
#include "base/config.h"

#include "base/host.h"
#include "base/memory.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <libpq-fe.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char historiand_version[] = HISTORIAND_VERSION;

typedef enum SettingType
{
	SETTING_TEXT,
	SETTING_COUNT,
	SETTING_BYTES,	  /* 512MiB, 64kB, plain bytes */
	SETTING_DURATION, /* 250ms, 1s, 5min, 1h; held in milliseconds */
	SETTING_TYPE = 0x0f,
	LIVE = 0x10,   /* SIGHUP changes it; numbers are then LiveSettings */
	LIST = 0x20,   /* a text that may be given in several parts */
	SWITCH = 0x40, /* a text that is on or off; the flag alone means on */
} SettingType;

typedef struct Setting
{
	const char *name;
	int type;
	size_t offset;
	const char *initial;
	uint64_t minimum;
	uint64_t maximum;
	const char *help;
} Setting;

#define MEMBER(name) offsetof(Config, name)
#define KIB			 UINT64_C(1024)
#define MIB			 (KIB * 1024)
#define GIB			 (MIB * 1024)
#define SECOND		 UINT64_C(1000)
#define HOUR		 (3600 * SECOND)

static const Setting settings[] = {
	{"listen", SETTING_TEXT | LIST, MEMBER(listen), "127.0.0.1:8080", 0, 0,
	 "address:port to serve on; [::1]:8080 for IPv6, port 0 for any free one, unix:/path for a "
	 "socket in the file system; may be given several times"},
	{"listen-health", SETTING_TEXT | LIST, MEMBER(listen_health), "", 0, 0,
	 "further addresses, for health and /metrics alone, without TLS and tokens"},
	{"insecure", SETTING_TEXT | SWITCH, MEMBER(insecure_name), "off", 0, 0,
	 "whether other machines may use this server without tokens or client certificates: on or off"},
	{"allowed-hosts", SETTING_TEXT, MEMBER(allowed_hosts), "", 0, 0,
	 "further names of this server that browsers may use, separated by commas: "
	 "historian.example.com, .example.org (with all names below it), * (any)"},
	{"cors-origin", SETTING_TEXT, MEMBER(cors_origin), "", 0, 0,
	 "origins of other sites whose pages may use this server, separated by commas: "
	 "https://dashboards.example.com, http://plant-1:3000"},
	{"tokens-file", SETTING_TEXT, MEMBER(tokens_file), "", 0, 0,
	 "file with the tokens of those who may use this server, which historian token makes and "
	 "SIGHUP "
	 "reads again; empty: everybody may who reaches it"},
	{"tls-certificate", SETTING_TEXT, MEMBER(tls_certificate), "", 0, 0,
	 "PEM file with the server's certificate, followed by those that lead to its authority: HTTP "
	 "is "
	 "served over TLS 1.2 and 1.3; SIGHUP reads the three files again"},
	{"tls-key", SETTING_TEXT, MEMBER(tls_key), "", 0, 0,
	 "PEM file with the certificate's key, without a password"},
	{"tls-client-ca", SETTING_TEXT, MEMBER(tls_client_ca), "", 0, 0,
	 "PEM file with the authorities of client certificates: a client must have one, or, with "
	 "--tokens-file, a token; its common name is the client's name"},
	{"database", SETTING_TEXT, MEMBER(database), "", 0, 0,
	 "libpq connection string, possibly with several hosts; empty: libpq's environment variables"},
	{"read-database", SETTING_TEXT, MEMBER(read_database), "", 0, 0,
	 "connection string for reads, which a standby may answer; empty: that of --database"},
	{"read-from", SETTING_TEXT, MEMBER(read_from_name), "any", 0, 0,
	 "which server answers reads: primary (a standby only while no primary can be reached), "
	 "standby-preferred, or any (the one to which --read-database leads)"},
	{"max-read-lag", SETTING_DURATION | LIVE, MEMBER(max_read_lag_ms), "10s", 0, 24 * HOUR,
	 "a standby whose data are older answers only if no other server can"},
	{"min-commit-wait", SETTING_DURATION | LIVE, MEMBER(min_commit_wait_ms), "500ms", 0, HOUR,
	 "how long a read with min_commit waits for a standby, before it goes to the primary; at most "
	 "half of --query-timeout"},
	{"database-password-file", SETTING_TEXT, MEMBER(database_password_file), "", 0, 0,
	 "file with the password, read for each connection; empty: the connection string or libpq's "
	 "own files"},
	{"table", SETTING_TEXT, MEMBER(table), "measurement", 0, 0,
	 "table with the columns time, tag, values; may be schema.table"},
	{"threads", SETTING_COUNT, MEMBER(threads), "1", 1, CONFIG_MAX_THREADS,
	 "event loops that share the port; loading has a further thread of its own"},
	{"busy-poll", SETTING_COUNT | LIVE, MEMBER(busy_poll_us), "50", 0, 1000,
	 "microseconds that an event loop looks for further requests before it sleeps, as long as "
	 "requests come at least twice as often; 0: it sleeps at once"},
	{"flush-interval", SETTING_DURATION | LIVE, MEMBER(flush_interval_ms), "1s", 1, HOUR,
	 "how often buffered messages are loaded"},
	{"commit-delay", SETTING_DURATION | LIVE, MEMBER(commit_delay_ms), "20ms", 0, 10 * SECOND,
	 "a load starts this soon after a request begins to wait for ack=committed"},
	{"commit-timeout", SETTING_DURATION | LIVE, MEMBER(commit_timeout_ms), "30s", 100, HOUR,
	 "a request with ack=committed whose messages are not committed by then is answered 503, and "
	 "they are loaded later; so is a change whose earlier messages are not loaded by then, and "
	 "nothing is changed"},
	{"load-timeout", SETTING_DURATION, MEMBER(load_timeout_ms), "60s", 100, HOUR,
	 "a load without progress for this long is broken off and sent again"},
	{"load-nice", SETTING_COUNT, MEMBER(load_nice), "5", 0, 19,
	 "how much nicer loading is than answering, here and in PostgreSQL, as in nice(1)"},
	{"max-buffered-bytes", SETTING_BYTES, MEMBER(max_buffered_bytes), "512MiB", MIB, 1024 * GIB,
	 "memory for messages that PostgreSQL does not have yet; beyond it: 503"},
	{"max-body-bytes", SETTING_BYTES | LIVE, MEMBER(max_body_bytes), "64MiB", KIB, 64 * GIB,
	 "largest decoded body of a request without partial=true; beyond it: 413"},
	{"line-strings", SETTING_TEXT, MEMBER(line_strings), "refuse", 0, 0,
	 "string fields of line protocol: refuse the line, or ignore the field and keep the others"},
	{"unit-check", SETTING_TEXT, MEMBER(unit_check_name), "on", 0, 0,
	 "whether a time without precision= is refused if it would be recent in seconds, milliseconds "
	 "or microseconds: on or off"},
	{"spool-dir", SETTING_TEXT, MEMBER(spool_dir), "", 0, 0,
	 "directory for messages for which memory has no room; empty: no spool"},
	{"max-spool-bytes", SETTING_BYTES, MEMBER(max_spool_bytes), "16GiB", MIB, 1024 * 1024 * GIB,
	 "disk space that the spool may use"},
	{"dead-letter-file", SETTING_TEXT, MEMBER(dead_letter_file), "", 0, 0,
	 "NDJSON file for rows that PostgreSQL refuses; empty: dead-letters.ndjson in --spool-dir; "
	 "without a spool such rows are only logged and counted"},
	{"max-queries", SETTING_COUNT, MEMBER(max_queries), "8", 1, 1000,
	 "database connections for reads, over all threads; as many to the primary, where reads go "
	 "there "
	 "by --read-from"},
	{"read-connection-lifetime", SETTING_DURATION | LIVE, MEMBER(read_connection_lifetime_ms),
	 "10min", 100, 24 * HOUR,
	 "an idle connection for reads is closed after this; the next one may choose another host"},
	{"max-queued-queries", SETTING_COUNT, MEMBER(max_queued_queries), "1000", 1, 1000000,
	 "reads that may wait for such a connection; a further one is answered 503, and so is one that "
	 "has waited for --query-timeout"},
	{"query-timeout", SETTING_DURATION | LIVE, MEMBER(query_timeout_ms), "10s", 1, HOUR,
	 "a read that takes longer is cancelled and answered 504, and so is a change of which a "
	 "statement takes longer; an export ends with an error if PostgreSQL sends nothing for so "
	 "long"},
	{"max-result-bytes", SETTING_BYTES, MEMBER(max_result_bytes), "256MiB", MIB, 1024 * GIB,
	 "memory for results and for long answers that clients have not taken yet; beyond it: 503"},
	{"metrics-interval", SETTING_DURATION, MEMBER(metrics_interval_ms), "15s", 100, HOUR,
	 "how often PostgreSQL is asked for its part of /metrics"},
	{"watch-tags", SETTING_TEXT, MEMBER(watch_tags), "", 0, 0,
	 "tags whose age /metrics shows, separated by commas; a tag with a comma in it is written in "
	 "quotes: \"a, b\""},
	{"stale-after", SETTING_DURATION | LIVE, MEMBER(stale_after_ms), "0s", 0, 10000 * HOUR,
	 "how long a tag may be without a new sample, where it has no max_silence of its own; 0s: only "
	 "tags with one are watched"},
	{"stale-interval", SETTING_DURATION | LIVE, MEMBER(stale_interval_ms), "5s", 100, HOUR,
	 "how often silent tags are looked for; if two looks in a row take long, the next one waits 99 "
	 "times as long as the shorter one, up to a minute"},
	{"stale-webhook", SETTING_TEXT, MEMBER(stale_webhook), "", 0, 0,
	 "http:// or https:// URL to which a POST goes when a tag becomes stale and when it returns"},
	{"stale-command", SETTING_TEXT, MEMBER(stale_command), "", 0, 0,
	 "program that is executed then: its path and arguments, between spaces, or as a JSON array of "
	 "strings; there is no shell"},
	{"stale-notify", SETTING_TEXT, MEMBER(stale_notify), "", 0, 0,
	 "channel of PostgreSQL's NOTIFY on which that is told"},
	{"stale-timeout", SETTING_DURATION | LIVE, MEMBER(stale_timeout_ms), "5s", 100, 30 * SECOND,
	 "a webhook that answers later has failed, and a program that takes longer is killed"},
	{"max-connections", SETTING_COUNT, MEMBER(max_connections), "10000", 1, 1000000,
	 "HTTP connections at a time, over all threads; beyond it: 503"},
	{"header-timeout", SETTING_DURATION | LIVE, MEMBER(header_timeout_ms), "10s", 100, HOUR,
	 "longest time from a request's first byte to the end of its headers; beyond it: 408"},
	{"body-timeout", SETTING_DURATION | LIVE, MEMBER(body_timeout_ms), "10s", 100, HOUR,
	 "longest time for a body, plus one second for each KiB of it; beyond it: 408"},
	{"idle-timeout", SETTING_DURATION | LIVE, MEMBER(idle_timeout_ms), "75s", 100, HOUR,
	 "a connection without a request is closed after this"},
	{"write-timeout", SETTING_DURATION | LIVE, MEMBER(write_timeout_ms), "30s", 100, HOUR,
	 "a client that takes nothing of its answer for this long is disconnected, and one of /stream "
	 "that does not take half of its 256 KiB"},
	{"limit-connections", SETTING_COUNT | LIVE, MEMBER(limit_connections), "0", 0, 1000000,
	 "HTTP connections of one address (an IPv6 /64) at a time; beyond it: 429; 0: no limit"},
	{"limit-requests", SETTING_COUNT | LIVE, MEMBER(limit_requests), "0", 0, 1000000000,
	 "requests a second of one client, which is a token or, without one, an address; beyond it: "
	 "429; 0: no limit"},
	{"limit-messages", SETTING_COUNT | LIVE, MEMBER(limit_messages), "0", 0, 1000000000,
	 "messages a second of one client; until what came before averages to less, its bodies are "
	 "answered 429; 0: no limit"},
	{"limit-queries", SETTING_COUNT | LIVE, MEMBER(limit_queries), "0", 0, 1000000,
	 "reads of one client at a time, with those that wait; beyond it: 429; 0: no limit"},
	{"log-level", SETTING_TEXT | LIVE, MEMBER(log_level_name), "info", 0, 0,
	 "debug (each request), info, warning (failed and slow ones) or error"},
	{"log-format", SETTING_TEXT | LIVE, MEMBER(log_format_name), "text", 0, 0,
	 "text, or json with one object a line"},
	{"slow-request", SETTING_DURATION | LIVE, MEMBER(slow_request_ms), "1s", 1, HOUR,
	 "a read that takes longer is logged, unless it is an export"},
};

#define SETTING_COUNT_ALL (sizeof(settings) / sizeof(settings[0]))

typedef struct Unit
{
	const char *name;
	uint64_t factor;
} Unit;

static const Unit byte_units[] = {
	{"", 1},	  {"B", 1},			  {"kB", 1000}, {"KiB", KIB}, {"MB", 1000000},
	{"MiB", MIB}, {"GB", 1000000000}, {"GiB", GIB}, {NULL, 0},
};
static const Unit duration_units[] = {
	{"ms", 1}, {"s", SECOND}, {"min", 60 * SECOND}, {"h", HOUR}, {NULL, 0},
};
static const Unit count_units[] = {{"", 1}, {NULL, 0}};

/* What config_reload() needs to read the settings again. */
static struct
{
	int count;
	char **values;
	Config config; /* as it was read last */
	bool running;  /* errors go to the log */
} arguments;

static bool read_all(Config *config, int argc, char **argv);
static const Setting *find_setting(const char *name, size_t length);
static bool assign(Config *config, const Setting *setting, const char *value, const char *source);
static bool assign_part(Config *config, const Setting *setting, const char *value,
						const char *source, bool *given);
static bool read_environment(Config *config);
static bool read_file(Config *config, const char *path);
static bool check_whole(Config *config);
static bool check_stale(Config *config);
static void print_help(void);

/*
 * Reports an error, on standard error at start and in the log while the server runs; returns false.
 */
static bool __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
	va_list args;
	char text[1024];

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (arguments.running)
		log_error("%s", text);
	else
		fprintf(stderr, "historiand: %s\n", text);
	return false;
}

ConfigResult
config_read(Config *config, int argc, char **argv)
{
	bool check_only = false;

	for (int i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
		{
			print_help();
			return CONFIG_EXIT;
		}
		if (strcmp(argv[i], "--version") == 0)
		{
			puts("historiand " HISTORIAND_VERSION);
			return CONFIG_EXIT;
		}
		check_only |= strcmp(argv[i], "--check-config") == 0;
		if (strcmp(argv[i], "--config") == 0)
			i++;
	}
	if (!read_all(config, argc, argv))
		return CONFIG_WRONG;
	arguments.count = argc;
	arguments.values = argv;
	arguments.config = *config;
	return check_only ? CONFIG_CHECK : CONFIG_RUN;
}

static bool
same_setting(const Config *a, const Config *b, const Setting *setting)
{
	const void *x = (const char *) a + setting->offset;
	const void *y = (const char *) b + setting->offset;

	if ((setting->type & SETTING_TYPE) == SETTING_TEXT)
		return strcmp(*(char *const *) x, *(char *const *) y) == 0;
	return *(const uint64_t *) x == *(const uint64_t *) y;
}

/*
 * Another thread that reads a number meanwhile gets the old or the new one.  The only live texts
 * are those of the log, which no other thread reads.  Replaced texts are not freed: reloads are
 * few.
 */
bool
config_reload(Config *config)
{
	static Config fresh;

	memset(&fresh, 0, sizeof(fresh));
	arguments.running = true;
	if (!read_all(&fresh, arguments.count, arguments.values))
	{
		log_error("the settings stay as they are (SIGHUP)");
		return false;
	}
	for (size_t i = 0; i < SETTING_COUNT_ALL; i++)
	{
		const Setting *setting = &settings[i];
		void *member = (char *) config + setting->offset;
		const void *value = (const char *) &fresh + setting->offset;

		if (same_setting(&fresh, &arguments.config, setting))
			continue;
		if ((setting->type & LIVE) == 0)
			log_warning("%s has changed, which takes effect at the next start", setting->name);
		else if ((setting->type & SETTING_TYPE) == SETTING_TEXT)
			*(char **) member = *(char *const *) value;
		else
			atomic_store((LiveSetting *) member, *(const uint64_t *) value);
	}
	config->log_level = fresh.log_level;
	config->log_format = fresh.log_format;
	arguments.config = fresh;
	return true;
}

/* Assigns every setting from all its sources, those that win last, and checks the whole. */
static bool
read_all(Config *config, int argc, char **argv)
{
	const char *file = getenv("HISTORIAND_CONFIG");
	bool given[SETTING_COUNT_ALL] = {0}; /* as a flag */

	/* The file's place must be known before the flags are applied over it. */
	for (int i = 1; i < argc; i++)
	{
		if (strncmp(argv[i], "--config=", 9) == 0)
			file = argv[i] + 9;
		else if (strcmp(argv[i], "--config") == 0)
		{
			if (i + 1 == argc)
				return wrong("--config needs a file name");
			file = argv[++i];
		}
	}

	for (size_t i = 0; i < SETTING_COUNT_ALL; i++)
	{
		if (!assign(config, &settings[i], settings[i].initial, "default"))
			return false;
	}
	if (file != NULL && file[0] != '\0' && !read_file(config, file))
		return false;
	if (!read_environment(config))
		return false;

	for (int i = 1; i < argc; i++)
	{
		const char *name = argv[i] + 2;
		const char *equals;
		const char *value;
		const Setting *setting;
		char source[64];

		if (strncmp(argv[i], "--", 2) != 0)
			return wrong("unexpected argument \"%s\"; see --help", argv[i]);
		if (strcmp(name, "check-config") == 0 || strncmp(name, "config=", 7) == 0)
			continue;
		if (strcmp(name, "config") == 0)
		{
			i++;
			continue;
		}
		equals = strchr(name, '=');
		setting = find_setting(name, equals ? (size_t) (equals - name) : strlen(name));
		if (setting == NULL)
			return wrong("unknown flag %s; see --help", argv[i]);
		snprintf(source, sizeof(source), "--%s", setting->name);
		if (equals != NULL)
			value = equals + 1;
		else if ((setting->type & SWITCH) != 0 &&
				 (i + 1 == argc || strncmp(argv[i + 1], "--", 2) == 0))
			value = "on";
		else if (i + 1 == argc)
			return wrong("--%s needs a value", setting->name);
		else
			value = argv[++i];
		if (!assign_part(config, setting, value, source, given))
			return false;
	}
	return check_whole(config);
}

static const Setting *
find_setting(const char *name, size_t length)
{
	for (size_t i = 0; i < SETTING_COUNT_ALL; i++)
	{
		if (strlen(settings[i].name) == length && memcmp(settings[i].name, name, length) == 0)
			return &settings[i];
	}
	return NULL;
}

/* Reads a whole number with its unit; false if the text is not that, or exceeds 64 bits. */
static bool
parse_quantity(const char *text, const Unit *units, uint64_t *quantity)
{
	char *rest;
	unsigned long long number;

	if (!isdigit((unsigned char) text[0]))
		return false;
	errno = 0;
	number = strtoull(text, &rest, 10);
	if (errno != 0)
		return false;
	while (*rest == ' ')
		rest++;
	for (; units->name != NULL; units++)
	{
		if (strcmp(rest, units->name) == 0)
			return !__builtin_mul_overflow((uint64_t) number, units->factor, quantity);
	}
	return false;
}

bool
config_read_duration(const char *text, uint64_t *ms)
{
	return parse_quantity(text, duration_units, ms);
}

/* Parses a value, checks it against the setting's bounds and stores it; source is for the error. */
static bool
assign(Config *config, const Setting *setting, const char *value, const char *source)
{
	void *member = (char *) config + setting->offset;
	int type = setting->type & SETTING_TYPE;
	const Unit *units = type == SETTING_BYTES	   ? byte_units
						: type == SETTING_DURATION ? duration_units
												   : count_units;
	uint64_t quantity;

	if (type == SETTING_TEXT)
	{
		char **text = member;

		free(*text);
		*text = memory_strdup(value);
		return true;
	}
	if (!parse_quantity(value, units, &quantity))
		return wrong("%s: \"%s\" is not %s", source, value,
					 type == SETTING_BYTES ? "a number of bytes such as 64MiB"
					 : type == SETTING_DURATION
						 ? "a duration with its unit such as 250ms, 1s, 5min or 1h"
						 : "a whole number");
	if (quantity < setting->minimum || quantity > setting->maximum)
		return wrong("%s: \"%s\" is outside of %llu .. %llu%s", source, value,
					 (unsigned long long) setting->minimum, (unsigned long long) setting->maximum,
					 type == SETTING_BYTES		? " bytes"
					 : type == SETTING_DURATION ? " ms"
												: "");
	*(uint64_t *) member = quantity;
	return true;
}

/* The same for a list whose first part the same source has given: it is added to. */
static bool
assign_part(Config *config, const Setting *setting, const char *value, const char *source,
			bool *given)
{
	char **member = (char **) ((char *) config + setting->offset);
	bool first = !given[setting - settings];
	Bytes joined = {0};
	bool valid;

	given[setting - settings] = true;
	if (first || (setting->type & LIST) == 0)
		return assign(config, setting, value, source);
	bytes_printf(&joined, "%s,%s", *member, value);
	valid = assign(config, setting, bytes_text(&joined), source);
	bytes_free(&joined);
	return valid;
}

static void
environment_name(const Setting *setting, char *name, size_t size)
{
	snprintf(name, size, "HISTORIAND_%s", setting->name);
	for (char *c = name; *c != '\0'; c++)
		*c = *c == '-' ? '_' : (char) toupper((unsigned char) *c);
}

static bool
read_environment(Config *config)
{
	for (size_t i = 0; i < SETTING_COUNT_ALL; i++)
	{
		char name[64];
		const char *value;

		environment_name(&settings[i], name, sizeof(name));
		value = getenv(name);
		if (value != NULL && !assign(config, &settings[i], value, name))
			return false;
	}
	return true;
}

/* Cuts white space off both ends, in place. */
static char *
trim(char *text)
{
	char *end;

	while (isspace((unsigned char) *text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char) end[-1]))
		end--;
	*end = '\0';
	return text;
}

/* Assigns the settings of a file; empty lines and lines that begin with # are ignored. */
static bool
read_file(Config *config, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[4096];
	int number = 0;
	bool valid = true;
	bool given[SETTING_COUNT_ALL] = {0};

	if (file == NULL)
		return wrong("cannot open the configuration file %s: %s", path, strerror(errno));
	while (valid && fgets(line, sizeof(line), file) != NULL)
	{
		char *name = trim(line);
		char *value = strchr(name, '=');
		const Setting *setting;
		char source[4200];

		number++;
		if (name[0] == '\0' || name[0] == '#')
			continue;
		if (value == NULL)
		{
			valid = wrong("%s line %d: \"%s\" is not name = value", path, number, name);
			break;
		}
		*value++ = '\0';
		name = trim(name);
		setting = find_setting(name, strlen(name));
		if (setting == NULL)
		{
			valid = wrong("%s line %d: unknown setting \"%s\"", path, number, name);
			break;
		}
		snprintf(source, sizeof(source), "%s line %d: %s", path, number, setting->name);
		valid = assign_part(config, setting, trim(value), source, given);
	}
	fclose(file);
	return valid;
}

/* "schema.table" with each part as a quoted identifier: names are taken as they are written. */
static char *
quote_table(const char *table)
{
	Bytes quoted = {0};

	bytes_puts(&quoted, "\"");
	for (; *table != '\0'; table++)
	{
		if (*table == '.')
			bytes_puts(&quoted, "\".\"");
		else if (*table == '"')
			bytes_puts(&quoted, "\"\"");
		else
			bytes_append(&quoted, table, 1);
	}
	bytes_puts(&quoted, "\"");
	return bytes_take_text(&quoted);
}

/* Is it a connection string that libpq can parse?  Any other text is the name of a database. */
static bool
check_conninfo(const char *name, const char *conninfo)
{
	char *why = NULL;
	PQconninfoOption *options;

	if (strchr(conninfo, '=') == NULL && strstr(conninfo, "://") == NULL)
		return true;
	options = PQconninfoParse(conninfo, &why);
	/* The reason may quote a password. */
	if (options == NULL)
		return wrong("%s: not a valid libpq connection string", name);
	PQconninfoFree(options);
	return true;
}

/* The place of a word in a list that ends with NULL, or -1. */
static int
find_word(const char *word, const char *const *words)
{
	for (int i = 0; words[i] != NULL; i++)
	{
		if (strcmp(word, words[i]) == 0)
			return i;
	}
	return -1;
}

/*
 * Adds the addresses of a list.  Those that other machines reach need something that says who may
 * use them.
 */
static bool
add_addresses(Config *config, const char *setting, const char *list, bool health)
{
	bool guarded = health || config->insecure || config->tokens_file[0] != '\0' ||
				   config->tls_client_ca[0] != '\0';

	while (*list != '\0')
	{
		ListenAddress *listen = &config->listens[config->listen_count];
		size_t length = strcspn(list, ",");
		char text[sizeof(listen->text)];
		const char *wrong_address;

		if (config->listen_count == CONFIG_MAX_LISTENS || length >= sizeof(text))
			return wrong("%s: more than %d addresses, or one that is too long", setting,
						 CONFIG_MAX_LISTENS);
		snprintf(text, sizeof(text), "%.*s", (int) length, list);
		list += length + (list[length] == ',');
		*listen = (ListenAddress){.health = health};
		strcpy(listen->text, trim(text));
		wrong_address = host_parse_address(listen->text, &listen->address);
		if (wrong_address != NULL)
			return wrong("%s: \"%s\" %s", setting, listen->text, wrong_address);
		config->listen_count++;
		if (host_loopback(&listen->address))
			continue;
		config->loopback = false;
		if (!guarded)
			return wrong("%s: other machines reach %s, and everybody there could read and write; "
						 "give --tokens-file or --tls-client-ca, or --insecure to allow that",
						 setting, listen->text);
	}
	return config->listen_count > 0 || health ||
		   wrong("%s: there is no address to serve on", setting);
}

/*
 * Checks what type and bounds do not, and sets the members of Config that are derived from others.
 */
static bool
check_whole(Config *config)
{
	static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
	static const char *const formats[] = {"text", "json", NULL};
	static const char *const read_froms[] = {"primary", "standby-preferred", "any", NULL};
	int read_from;
	int level;
	int format;

	config->listen_count = 0;
	config->loopback = true;
	config->insecure = strcmp(config->insecure_name, "on") == 0;
	if (!config->insecure && strcmp(config->insecure_name, "off") != 0)
		return wrong("insecure: \"%s\" is neither on nor off", config->insecure_name);
	if (!add_addresses(config, "listen", config->listen, false) ||
		!add_addresses(config, "listen-health", config->listen_health, true))
		return false;
	if (!host_list_valid(config->allowed_hosts))
		return wrong("allowed-hosts: \"%s\" is not a list of names such as historian.example.com, "
					 ".example.org or *, each perhaps with a port",
					 config->allowed_hosts);
	if (!host_origin_list_valid(config->cors_origin))
		return wrong("cors-origin: \"%s\" is not a list of origins such as "
					 "https://dashboards.example.com or http://plant-1:3000; each must be named",
					 config->cors_origin);
	if ((config->tls_certificate[0] == '\0') != (config->tls_key[0] == '\0'))
		return wrong("tls-certificate and tls-key: either both must be given or neither");
	if (config->tls_client_ca[0] != '\0' && config->tls_certificate[0] == '\0')
		return wrong("tls-client-ca: needs tls-certificate and tls-key");
	if (!check_conninfo("database", config->database) ||
		!check_conninfo("read-database", config->read_database))
		return false;
	if (config->read_database[0] == '\0')
	{
		free(config->read_database);
		config->read_database = memory_strdup(config->database);
	}
	if (config->database_password_file[0] != '\0' &&
		access(config->database_password_file, R_OK) != 0)
		return wrong("database-password-file: cannot read %s: %s", config->database_password_file,
					 strerror(errno));
	if (config->table[0] == '\0')
		return wrong("table: must not be empty");
	if (config->max_queries < config->threads)
		return wrong("max-queries: %llu is less than threads, %llu; each thread has a connection "
					 "for reads of its own",
					 (unsigned long long) config->max_queries,
					 (unsigned long long) config->threads);
	config->table_sql = quote_table(config->table);
	read_from = find_word(config->read_from_name, read_froms);
	if (read_from < 0)
		return wrong("read-from: \"%s\" is none of primary, standby-preferred, any",
					 config->read_from_name);
	config->read_from = (ReadFrom) read_from;
	if (config->dead_letter_file[0] == '\0' && config->spool_dir[0] != '\0')
	{
		Bytes path = {0};

		bytes_printf(&path, "%s/dead-letters.ndjson", config->spool_dir);
		free(config->dead_letter_file);
		config->dead_letter_file = bytes_take_text(&path);
	}
	if (!check_stale(config))
		return false;
	config->skip_strings = strcmp(config->line_strings, "ignore") == 0;
	if (!config->skip_strings && strcmp(config->line_strings, "refuse") != 0)
		return wrong("line-strings: \"%s\" is neither refuse nor ignore", config->line_strings);
	config->unit_check = strcmp(config->unit_check_name, "on") == 0;
	if (!config->unit_check && strcmp(config->unit_check_name, "off") != 0)
		return wrong("unit-check: \"%s\" is neither on nor off", config->unit_check_name);
	level = find_word(config->log_level_name, levels);
	if (level < 0)
		return wrong("log-level: \"%s\" is none of debug, info, warning, error",
					 config->log_level_name);
	config->log_level = (LogLevel) level;
	format = find_word(config->log_format_name, formats);
	if (format < 0)
		return wrong("log-format: \"%s\" is neither text nor json", config->log_format_name);
	config->log_format = (LogFormat) format;
	return true;
}

/* The strings of a JSON array, with NULL at the end; NULL: it is none. */
static char **
split_json(const char *text)
{
	json_object *list = json_tokener_parse(text);
	size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	char **arguments = memory_new(sizeof(char *) * (count + 1));

	for (size_t i = 0; i < count; i++)
	{
		json_object *argument = json_object_array_get_idx(list, i);
		const char *value = json_object_get_string(argument);

		if (!json_object_is_type(argument, json_type_string) ||
			strlen(value) != (size_t) json_object_get_string_len(argument))
			count = 0;
		else
			arguments[i] = memory_strdup(value);
	}
	json_object_put(list);
	return count > 0 ? arguments : NULL;
}

/* The words between spaces, with NULL at the end. */
static char **
split_words(const char *text)
{
	char *words = memory_strdup(text);
	char **arguments = memory_new(sizeof(char *) * (strlen(text) / 2 + 2));
	size_t count = 0;
	char *rest;

	for (char *word = strtok_r(words, " \t", &rest); word != NULL;
		 word = strtok_r(NULL, " \t", &rest))
		arguments[count++] = word;
	return arguments;
}

/* Checks the settings of what is done about silent tags. */
static bool
check_stale(Config *config)
{
	const char *url = config->stale_webhook;
	size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
	const char *command = config->stale_command;

	/* The URL is not shown, because it may have a password in it. */
	if (url[0] != '\0' && (scheme == 0 || strcspn(url + scheme, "/?#") == 0 ||
						   url[strcspn(url, " \t\r\n\x7f")] != '\0'))
		return wrong("stale-webhook: must be a URL such as https://alerts.example.com/historian");
	if (strlen(config->stale_notify) > 63)
		return wrong("stale-notify: \"%s\" is longer than 63 bytes", config->stale_notify);
	config->stale_arguments = NULL;
	if (command[0] == '\0')
		return true;
	config->stale_arguments = command[0] == '[' ? split_json(command) : split_words(command);
	if (config->stale_arguments == NULL)
		return wrong("stale-command: \"%s\" is not a JSON array of strings", command);
	if (config->stale_arguments[0] == NULL || config->stale_arguments[0][0] != '/')
		return wrong("stale-command: \"%s\" does not begin with the path of a program, such as "
					 "/usr/local/bin/alert",
					 command);
	if (access(config->stale_arguments[0], X_OK) != 0)
		return wrong("stale-command: cannot execute %s: %s", config->stale_arguments[0],
					 strerror(errno));
	return true;
}

/* Prints the usage, and each setting with its default. */
static void
print_help(void)
{
	puts("historiand " HISTORIAND_VERSION ": takes messages over HTTP, loads them into PostgreSQL, "
		 "answers queries\n\n"
		 "usage: historiand [--name value]...\n\n"
		 "Each setting can be a flag, an environment variable, or a line \"name = value\" of the "
		 "file.\n"
		 "Flags win over the environment, and the environment wins over the file.\n");
	for (size_t i = 0; i < SETTING_COUNT_ALL; i++)
	{
		char name[64];

		environment_name(&settings[i], name, sizeof(name));
		printf("  --%s, %s (default %s)\n      %s%s\n", settings[i].name, name,
			   settings[i].initial[0] == '\0' ? "empty" : settings[i].initial, settings[i].help,
			   (settings[i].type & LIVE) != 0 ? " [SIGHUP]" : "");
	}
	puts("\n  --config, HISTORIAND_CONFIG\n      file with settings\n"
		 "  --check-config\n      check the settings, the spool directory, the address, the "
		 "database and its table, then\n      exit: with 0 if all is well, with 2 if a setting is "
		 "wrong, with 1 if something else is\n"
		 "  --help, -h, --version\n\n"
		 "SIGHUP reads the settings again: those marked [SIGHUP] take effect at once, others at "
		 "the next\n"
		 "start. SIGTERM, SIGINT and SIGQUIT make the server load its buffer and end.");
}
