/*
 * watchdog.c
 *	  Watches for tags that become stale, and for their return, and has each transition told once.
 *
 * PostgreSQL finds the transitions, notes them, and notifies of them, in one statement
 * (historian.note_stale).  For the webhook and the command there is a teller each, which goes round:
 *
 *	 TELLER_IDLE -> TELLER_CLAIMING -> TELLER_TELLING -> TELLER_SETTLING -> TELLER_IDLE
 *
 * It claims some transitions, so that no other server tells them meanwhile, tells them in a worker
 * thread, and settles which are told.  If the process dies between, others tell them again when the
 * claim has lapsed.
 *
 * A tag counts as stale only by what is certainly committed: while messages are held up, nothing is
 * noted, and the watch begins anew.
 *
 * The pause after a round is COST_FACTOR times as long as the shorter one of the last two rounds took,
 * because one may wait for a lock or the processor, but not longer than LONGEST_PAUSE_MS.  So the watch
 * takes at most a hundredth of a core while a round takes less than 0.6 s, and more with more tags.
 */
#include "watch/watchdog.h"

#include "base/backoff.h"
#include "base/log.h"
#include "database/pg_pool.h"
#include "watch/command.h"
#include "watch/webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COST_FACTOR		 99
#define LONGEST_PAUSE_MS 60000

/* So many transitions a teller has at a time. */
#define MOST_CLAIMED "64"

/* None is begun later than so long after its claim, which lapses after a minute. */
#define BEGIN_MS 20000

/* How long to wait before what failed for PostgreSQL's sake is tried again. */
#define AWAY_MS 1000

/* Messages may have been accepted since it was found out how old the oldest one is. */
#define MARGIN_MS 1000

#define QUEUED_QUERIES 8

typedef enum TellerState
{
	TELLER_IDLE,
	TELLER_CLAIMING,
	TELLER_TELLING,
	TELLER_SETTLING, /* asks, or will ask again */
} TellerState;

typedef struct Teller
{
	Watchdog *watchdog;
	const char *action;
	TellFunction tell;
	void *told_by; /* NULL: there is no such action */
	_Atomic TellerState state;
	uint64_t next_ms; /* not before this time */
	Backoff pause;
	uv_work_t work;
	Tellings tellings;
	char **ids; /* of the tellings */
	bool asked; /* settling: the statement is under way */
	_Atomic uint64_t told;
	_Atomic uint64_t failed;
} Teller;

#define TELLERS 2

struct Watchdog
{
	uv_loop_t *loop;
	PgPool *pool;
	const Config *config;
	WatchdogHeld held;
	void *argument;
	bool noting; /* the statement is under way */
	uint64_t asked_ms;
	uint64_t took_ms; /* the round before */
	uint64_t next_ms;
	uint64_t good_since_ms; /* the watch is unbroken since then; 0: it is broken */
	bool failing;			/* which is logged once */
	Teller tellers[TELLERS];
	atomic_bool stopping;

	/* for the metrics */
	_Atomic uint64_t stale;
	_Atomic uint64_t untold;
	_Atomic uint64_t went_stale;
	_Atomic uint64_t returned;
	_Atomic uint64_t given_up;
	_Atomic uint64_t watched_ms;
	atomic_bool noted; /* stale and untold are known */
};

static bool watches(const Watchdog *watchdog);
static void note(Watchdog *watchdog, uint64_t now_ms);
static void on_noted(void *argument, const QueryOutcome *outcome);
static void claim(Teller *teller, uint64_t now_ms);
static void on_claimed(void *argument, const QueryOutcome *outcome);
static void tell_in_worker(uv_work_t *work);
static void on_told(uv_work_t *work, int status);
static void count_told(Teller *teller);
static void settle(Teller *teller);
static void on_settled(void *argument, const QueryOutcome *outcome);
static void forget_claimed(Teller *teller);

Watchdog *
watchdog_new(uv_loop_t *loop, Turns *turns, const Config *config, Budget *budget, WatchdogHeld held,
			 void *argument)
{
	Watchdog *watchdog = memory_new(sizeof(Watchdog));

	watchdog->loop = loop;
	watchdog->config = config;
	watchdog->held = held;
	watchdog->argument = argument;
	watchdog->pool =
		pg_pool_new(loop, turns, config, PG_POOL_WRITES, 1, QUEUED_QUERIES, budget, NULL);
	watchdog->tellers[0] = (Teller){.action = "webhook", .tell = webhook_tell};
	watchdog->tellers[1] = (Teller){.action = "command", .tell = command_tell};
	if (config->stale_webhook[0] != '\0')
	{
		watchdog->tellers[0].told_by = webhook_new(config->stale_webhook);
		if (watchdog->tellers[0].told_by == NULL)
		{
			log_error("stale-webhook: libcurl does not work");
			return NULL;
		}
	}
	if (config->stale_arguments != NULL)
		watchdog->tellers[1].told_by = command_new(config->stale_arguments);
	for (int i = 0; i < TELLERS; i++)
	{
		Teller *teller = &watchdog->tellers[i];

		teller->watchdog = watchdog;
		teller->pause = (Backoff){.first_ms = 1000, .largest_ms = 60000};
		teller->tellings.stopping = &watchdog->stopping;
		teller->work.data = teller;
	}
	return watchdog;
}

/* Is there a time after which any tag is stale, or an action? */
static bool
watches(const Watchdog *watchdog)
{
	const Config *config = watchdog->config;

	return atomic_load(&config->stale_after_ms) > 0 || config->stale_notify[0] != '\0' ||
		   watchdog->tellers[0].told_by != NULL || watchdog->tellers[1].told_by != NULL;
}

void
watchdog_tick(Watchdog *watchdog, uint64_t now_ms)
{
	bool stopping = atomic_load(&watchdog->stopping);

	if (!watches(watchdog))
		return;
	pg_pool_tick(watchdog->pool);
	if (!stopping && !watchdog->noting && now_ms >= watchdog->next_ms)
		note(watchdog, now_ms);
	for (int i = 0; i < TELLERS; i++)
	{
		Teller *teller = &watchdog->tellers[i];

		if (teller->told_by == NULL || now_ms < teller->next_ms)
			continue;
		if (teller->state == TELLER_IDLE && !stopping && atomic_load(&watchdog->untold) > 0)
			claim(teller, now_ms);
		else if (teller->state == TELLER_SETTLING && !teller->asked)
			settle(teller);
	}
}

/* Has the transitions noted, unless messages are held up. */
static void
note(Watchdog *watchdog, uint64_t now_ms)
{
	const Config *config = watchdog->config;
	uint64_t after_ms = atomic_load(&config->stale_after_ms);
	uint64_t behind_ms = 0;
	char after[32] = "";
	char watched[32];
	char behind[32];
	const char *arguments[6];

	watchdog->next_ms = now_ms + atomic_load(&config->stale_interval_ms);
	if (watchdog->held(watchdog->argument, &behind_ms))
	{
		watchdog->good_since_ms = 0;
		atomic_store(&watchdog->watched_ms, 0);
		return;
	}
	if (watchdog->good_since_ms == 0)
		watchdog->good_since_ms = now_ms;
	atomic_store(&watchdog->watched_ms, now_ms - watchdog->good_since_ms);
	if (after_ms > 0)
		snprintf(after, sizeof(after), "%" PRIu64 " ms", after_ms);
	snprintf(watched, sizeof(watched), "%" PRIu64 " ms", now_ms - watchdog->good_since_ms);
	snprintf(behind, sizeof(behind), "%" PRIu64 " ms", behind_ms + MARGIN_MS);
	arguments[0] = config->table_sql;
	arguments[1] = after;
	arguments[2] = watched;
	arguments[3] = behind;
	arguments[4] = watchdog->tellers[0].told_by != NULL
					   ? (watchdog->tellers[1].told_by != NULL ? "{webhook,command}" : "{webhook}")
					   : (watchdog->tellers[1].told_by != NULL ? "{command}" : "{}");
	arguments[5] = config->stale_notify;
	watchdog->asked_ms = now_ms;
	watchdog->noting =
		pg_pool_submit(watchdog->pool, &(QuerySource){0},
					   "SELECT stale, went_stale, returned, untold, given_up "
					   "FROM historian.note_stale($1::text::regclass, "
					   "nullif($2::text, '')::interval, $3::text::interval, $4::text::interval, "
					   "$5::text::text[], nullif($6::text, ''))",
					   6, arguments, NULL, on_noted, watchdog) != NULL;
}

static uint64_t
number_of(const PGresult *result, int column)
{
	return strtoull(PQgetvalue(result, 0, column), NULL, 10);
}

static void
on_noted(void *argument, const QueryOutcome *outcome)
{
	Watchdog *watchdog = argument;
	uint64_t now_ms = uv_hrtime() / 1000000;
	uint64_t took_ms = now_ms - watchdog->asked_ms;
	uint64_t pause_ms = (took_ms < watchdog->took_ms ? took_ms : watchdog->took_ms) * COST_FACTOR;
	uint64_t went_stale;
	uint64_t returned;

	watchdog->noting = false;
	if (outcome->result == NULL)
	{
		if (!watchdog->failing)
			log_warning("silent tags are not found now: %s", outcome->message);
		watchdog->failing = true;
		watchdog->good_since_ms = 0;
		return;
	}
	watchdog->failing = false;
	watchdog->took_ms = took_ms;
	if (pause_ms > LONGEST_PAUSE_MS)
		pause_ms = LONGEST_PAUSE_MS;
	if (now_ms + pause_ms > watchdog->next_ms)
		watchdog->next_ms = now_ms + pause_ms;
	went_stale = number_of(outcome->result, 1);
	returned = number_of(outcome->result, 2);
	atomic_store(&watchdog->stale, number_of(outcome->result, 0));
	atomic_store(&watchdog->untold, number_of(outcome->result, 3));
	atomic_store(&watchdog->noted, true);
	atomic_fetch_add(&watchdog->went_stale, went_stale);
	atomic_fetch_add(&watchdog->returned, returned);
	atomic_fetch_add(&watchdog->given_up, number_of(outcome->result, 4));
	if (went_stale + returned > 0)
		log_info("%" PRIu64 " tags have become stale, and %" PRIu64 " have returned; %" PRIu64
				 " are stale now",
				 went_stale, returned, atomic_load(&watchdog->stale));
	if (number_of(outcome->result, 4) > 0)
		log_error("%" PRIu64 " transitions of tags could not be told for 7 days, and are given up",
				  number_of(outcome->result, 4));
}

static void
claim(Teller *teller, uint64_t now_ms)
{
	const char *arguments[] = {teller->watchdog->config->table_sql, teller->action, MOST_CLAIMED};

	teller->state = TELLER_CLAIMING;
	teller->tellings.begin_until_ms = now_ms + BEGIN_MS;
	if (pg_pool_submit(teller->watchdog->pool, &(QuerySource){0},
					   "SELECT id, body FROM historian.claim_stale($1::text::regclass, $2::text, "
					   "$3::text::integer)",
					   3, arguments, NULL, on_claimed, teller) == NULL)
	{
		teller->state = TELLER_IDLE;
		teller->next_ms = now_ms + AWAY_MS;
	}
}

static void
on_claimed(void *argument, const QueryOutcome *outcome)
{
	Teller *teller = argument;
	Tellings *tellings = &teller->tellings;
	int count = outcome->result != NULL ? PQntuples(outcome->result) : 0;

	if (count == 0)
	{
		/* Whoever notes transitions logs why PostgreSQL does not answer. */
		teller->state = TELLER_IDLE;
		teller->next_ms = uv_hrtime() / 1000000 + AWAY_MS;
		return;
	}
	teller->state = TELLER_TELLING;
	tellings->count = count;
	tellings->items = memory_new(sizeof(Telling) * (size_t) count);
	tellings->timeout_ms = atomic_load(&teller->watchdog->config->stale_timeout_ms);
	tellings->why[0] = '\0';
	teller->ids = memory_new(sizeof(char *) * (size_t) count);
	for (int i = 0; i < count; i++)
	{
		teller->ids[i] = memory_strdup(PQgetvalue(outcome->result, i, 0));
		tellings->items[i].body = memory_strdup(PQgetvalue(outcome->result, i, 1));
	}
	uv_queue_work(teller->watchdog->loop, &teller->work, tell_in_worker, on_told);
}

static void
tell_in_worker(uv_work_t *work)
{
	Teller *teller = work->data;

	teller->tell(teller->told_by, &teller->tellings);
}

static void
on_told(uv_work_t *work, int status)
{
	Teller *teller = work->data;

	(void) status;
	count_told(teller);
	teller->state = TELLER_SETTLING;
	settle(teller);
}

/* Counts what was told, and sets when the next ones are. */
static void
count_told(Teller *teller)
{
	const Tellings *tellings = &teller->tellings;
	uint64_t told = 0;
	uint64_t failed = 0;

	for (int i = 0; i < tellings->count; i++)
	{
		told += tellings->items[i].told;
		failed += tellings->items[i].tried && !tellings->items[i].told;
	}
	atomic_fetch_add(&teller->told, told);
	atomic_fetch_add(&teller->failed, failed);
	if (failed > 0 && !backoff_failing(&teller->pause))
		log_warning("the %s of silent tags has failed: %s; it is tried again", teller->action,
					tellings->why);
	else if (failed == 0 && told > 0 && backoff_failing(&teller->pause))
		log_info("the %s of silent tags works again", teller->action);
	/* If some are taken, those that are not wait by themselves (historian.settle_stale). */
	teller->next_ms = 0;
	if (failed > 0 && told == 0)
		teller->next_ms = uv_hrtime() / 1000000 + backoff_next_ms(&teller->pause);
	else if (failed == 0 && told > 0)
		backoff_reset(&teller->pause);
}

/* Says which are told. */
static void
settle(Teller *teller)
{
	const Tellings *tellings = &teller->tellings;
	Bytes ids = {0};
	Bytes told = {0};
	Bytes tried = {0};
	const char *arguments[5];

	for (int i = 0; i < tellings->count; i++)
	{
		const char *separator = i == 0 ? "{" : ",";

		bytes_printf(&ids, "%s%s", separator, teller->ids[i]);
		bytes_printf(&told, "%s%s", separator, tellings->items[i].told ? "t" : "f");
		bytes_printf(&tried, "%s%s", separator, tellings->items[i].tried ? "t" : "f");
	}
	bytes_puts(&ids, "}");
	bytes_puts(&told, "}");
	bytes_puts(&tried, "}");
	arguments[0] = teller->watchdog->config->table_sql;
	arguments[1] = teller->action;
	arguments[2] = bytes_text(&ids);
	arguments[3] = bytes_text(&told);
	arguments[4] = bytes_text(&tried);
	teller->asked = pg_pool_submit(teller->watchdog->pool, &(QuerySource){0},
								   "SELECT historian.settle_stale($1::text::regclass, $2::text, "
								   "$3::text::uuid[], $4::text::bool[], $5::text::bool[])",
								   5, arguments, NULL, on_settled, teller) != NULL;
	bytes_free(&ids);
	bytes_free(&told);
	bytes_free(&tried);
}

static void
on_settled(void *argument, const QueryOutcome *outcome)
{
	Teller *teller = argument;

	teller->asked = false;
	if (outcome->result == NULL)
	{
		/* It is asked until it is settled: others must not tell them meanwhile, if that can be. */
		teller->next_ms = uv_hrtime() / 1000000 + AWAY_MS;
		/* Nobody has them if the table is gone. */
		if (strcmp(outcome->sqlstate, "42P01") != 0)
			return;
	}
	forget_claimed(teller);
	teller->state = TELLER_IDLE;
}

static void
forget_claimed(Teller *teller)
{
	for (int i = 0; i < teller->tellings.count; i++)
	{
		free(teller->ids[i]);
		free(teller->tellings.items[i].body);
	}
	free(teller->ids);
	free(teller->tellings.items);
	teller->ids = NULL;
	teller->tellings.items = NULL;
	teller->tellings.count = 0;
}

void
watchdog_stop(Watchdog *watchdog)
{
	atomic_store(&watchdog->stopping, true);
}

bool
watchdog_idle(const Watchdog *watchdog)
{
	return watchdog->tellers[0].state == TELLER_IDLE && watchdog->tellers[1].state == TELLER_IDLE;
}

static void
put_metric(Bytes *text, const char *name, const char *type, const char *help, uint64_t value)
{
	bytes_printf(text, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name,
				 value);
}

void
watchdog_expose(const Watchdog *watchdog, Bytes *text)
{
	if (!watches(watchdog))
		return;
	if (atomic_load(&watchdog->noted))
	{
		put_metric(text, "historian_stale_tags", "gauge", "So many tags are stale.",
				   atomic_load(&watchdog->stale));
		put_metric(text, "historian_stale_untold", "gauge",
				   "So many transitions of tags wait to be told, by either action.",
				   atomic_load(&watchdog->untold));
	}
	put_metric(text, "historiand_stale_watch_seconds", "gauge",
			   "The watch for silent tags is unbroken for so long; 0: messages are held up.",
			   atomic_load(&watchdog->watched_ms) / 1000);
	bytes_printf(text,
				 "# HELP historiand_stale_transitions_total So many transitions of tags were noted "
				 "by this server.\n# TYPE historiand_stale_transitions_total counter\n"
				 "historiand_stale_transitions_total{state=\"stale\"} %" PRIu64 "\n"
				 "historiand_stale_transitions_total{state=\"returned\"} %" PRIu64 "\n",
				 atomic_load(&watchdog->went_stale), atomic_load(&watchdog->returned));
	put_metric(text, "historiand_stale_given_up_total", "counter",
			   "So many transitions of tags could not be told for 7 days.",
			   atomic_load(&watchdog->given_up));
	bytes_puts(text, "# HELP historiand_stale_actions_total So often an action was told of a "
					 "transition, by result.\n# TYPE historiand_stale_actions_total counter\n");
	for (int i = 0; i < TELLERS; i++)
	{
		const Teller *teller = &watchdog->tellers[i];

		if (teller->told_by == NULL)
			continue;
		bytes_printf(text,
					 "historiand_stale_actions_total{action=\"%s\",result=\"told\"} %" PRIu64 "\n"
					 "historiand_stale_actions_total{action=\"%s\",result=\"failed\"} %" PRIu64
					 "\n",
					 teller->action, atomic_load(&teller->told), teller->action,
					 atomic_load(&teller->failed));
	}
}
