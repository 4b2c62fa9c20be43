/*
 * name_teller.c
 *	  Tells PostgreSQL the names of fields that POST /write has found (historian.learn_names).
 *
 * One statement is under way at a time.  If it fails, the same names are told again, later and
 * later; only names that PostgreSQL refuses as such are dropped.  A failure is logged once, because
 * it concerns no message: the rows are loaded in any case.
 */
#include "load/name_teller.h"

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"

#include <string.h>

#define INTERVAL_MS 1000

struct NameTeller
{
	PgPool *pool;
	const Config *config;
	FieldNames *names;
	Bytes telling; /* told, and not known to be kept; empty: nothing is */
	bool asked;	   /* the statement is under way */
	Backoff retry;
	uint64_t next_ms; /* not before this time */
	uint64_t now_ms;  /* of the last tick */
};

static void on_told(void *argument, const QueryOutcome *outcome);

NameTeller *
name_teller_new(PgPool *writes, const Config *config, FieldNames *names)
{
	NameTeller *teller = memory_new(sizeof(NameTeller));

	teller->pool = writes;
	teller->config = config;
	teller->names = names;
	teller->retry = (Backoff){.first_ms = 2000, .largest_ms = 60000};
	return teller;
}

void
name_teller_tick(NameTeller *teller, uint64_t now_ms)
{
	const char *arguments[2];

	teller->now_ms = now_ms;
	if (teller->asked || now_ms < teller->next_ms ||
		(teller->telling.length == 0 && !field_names_take(teller->names, &teller->telling)))
		return;
	arguments[0] = teller->config->table_sql;
	arguments[1] = bytes_text(&teller->telling);
	teller->asked =
		pg_pool_submit(teller->pool, NULL,
					   "SELECT historian.learn_names($1::text::regclass, $2::text::jsonb)", 2,
					   arguments, NULL, on_told, teller) != NULL;
	teller->next_ms = now_ms + INTERVAL_MS;
}

/* Is the error one of the names, so that telling them again is of no use? */
static bool
names_refused(const char *sqlstate)
{
	return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
		   strncmp(sqlstate, "54", 2) == 0;
}

static void
on_told(void *argument, const QueryOutcome *outcome)
{
	NameTeller *teller = argument;

	teller->asked = false;
	if (outcome->result == NULL && !backoff_failing(&teller->retry))
		log_warning("names of the fields of POST /write are not kept: %s", outcome->message);
	if (outcome->result == NULL)
		teller->next_ms = teller->now_ms + backoff_next_ms(&teller->retry);
	else
		backoff_reset(&teller->retry);
	if (outcome->result != NULL || names_refused(outcome->sqlstate))
		bytes_free(&teller->telling);
}
