/*
 * name_teller.c
 *	  Asks PostgreSQL for the places of the fields that POST /write has found (historian.learn_names).
 *
 * PostgreSQL keeps fields that it does not know, and answers where each field of the series is.  While
 * it is away, the question is asked again and again, and points of these series wait.  If it refuses
 * to keep fields, because of a privilege for instance, that is logged once, points do not wait, and
 * the same fields are told again, later and later.  Only fields that it refuses as such are dropped.
 */
#include "load/name_teller.h"

#include "base/backoff.h"
#include "base/log.h"
#include "base/memory.h"

#include <string.h>

/* A server that is away is asked again after so long, because requests wait. */
#define AWAY_MS 500

struct NameTeller
{
	PgPool *pool;
	const Config *config;
	FieldPlaces *places;
	void (*answered)(void *);
	void *argument;
	Bytes telling; /* told, and not known to be kept; empty: nothing is */
	bool asked;	   /* the statement is under way */
	uint32_t age;  /* of the places when it was asked */
	Backoff retry;
	uint64_t next_ms; /* not before this time */
	uint64_t now_ms;  /* of the last tick */
};

static void on_told(void *argument, const QueryOutcome *outcome);

NameTeller *
name_teller_new(PgPool *writes, const Config *config, FieldPlaces *places, void (*answered)(void *),
				void *argument)
{
	NameTeller *teller = memory_new(sizeof(NameTeller));

	teller->pool = writes;
	teller->config = config;
	teller->places = places;
	teller->answered = answered;
	teller->argument = argument;
	teller->retry = (Backoff){.first_ms = 2000, .largest_ms = 60000};
	return teller;
}

void
name_teller_tick(NameTeller *teller, uint64_t now_ms)
{
	const char *arguments[2];

	teller->now_ms = now_ms;
	if (teller->asked || now_ms < teller->next_ms ||
		(teller->telling.length == 0 && !field_places_take(teller->places, &teller->telling)))
		return;
	teller->age = field_places_age(teller->places);
	arguments[0] = teller->config->table_sql;
	arguments[1] = bytes_text(&teller->telling);
	teller->asked =
		pg_pool_submit(teller->pool, &(QuerySource){0},
					   "SELECT tag, pg_catalog.array_to_string(fields, E'\\x01', '') "
					   "FROM historian.learn_names($1::text::regclass, $2::text::jsonb)",
					   2, arguments, NULL, on_told, teller) != NULL;
}

/* Is the error one of the fields, so that telling them again is of no use? */
static bool
fields_refused(const char *sqlstate)
{
	return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
		   strncmp(sqlstate, "54", 2) == 0;
}

/*
 * May the same question succeed any time?  That is so too if the table is missing (42P01), because no
 * row can be loaded before it is there.
 */
static bool
server_away(const char *sqlstate)
{
	static const char *const classes[] = {"08", "25", "40", "53", "55", "57", "58", "XX"};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
	{
		if (strncmp(sqlstate, classes[i], 2) == 0)
			return true;
	}
	return sqlstate[0] == '\0' || strcmp(sqlstate, "42P01") == 0;
}

static void
take_answer(NameTeller *teller, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++)
		field_places_learned(teller->places, teller->age, PQgetvalue(result, i, 0),
							 PQgetvalue(result, i, 1));
	field_places_told(teller->places, false);
	bytes_free(&teller->telling);
	backoff_reset(&teller->retry);
}

static void
on_told(void *argument, const QueryOutcome *outcome)
{
	NameTeller *teller = argument;

	teller->asked = false;
	if (outcome->result != NULL)
		take_answer(teller, outcome->result);
	else if (server_away(outcome->sqlstate))
	{
		teller->next_ms = teller->now_ms + AWAY_MS;
		return;
	}
	else
	{
		if (!backoff_failing(&teller->retry))
			log_warning(
				"names of the fields of POST /write are not kept: %s; until they are, a point "
				"that lacks a field may have its values at other places",
				outcome->message);
		teller->next_ms = teller->now_ms + backoff_next_ms(&teller->retry);
		if (fields_refused(outcome->sqlstate))
		{
			field_places_told(teller->places, true);
			bytes_free(&teller->telling);
		}
		else
			field_places_refused(teller->places);
	}
	teller->answered(teller->argument);
}
