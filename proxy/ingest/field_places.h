/*
 * field_places.h
 *	  The places that the fields of each series of line protocol have in its rows.
 *
 * A row has values without names, so that a field must have the same place in all rows of its series.
 * PostgreSQL keeps the places (historian.tag.learned), which only become more.  So all servers that
 * write to a table place fields alike, also after a restart.  A point waits in its stage until the
 * places of its fields are known.
 *
 * Only while PostgreSQL refuses to keep places, or if there are too many series, points do not wait:
 * fields without a place then come after those that have one, in the order of their names.
 *
 * Any thread may call these functions.
 */
#ifndef HISTORIAND_FIELD_PLACES_H
#define HISTORIAND_FIELD_PLACES_H

#include "base/memory.h"
#include "ingest/stage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FieldPlaces FieldPlaces;

typedef enum FieldsPlaced
{
	FIELDS_PLACED,
	FIELDS_WAIT,	 /* not all places are known yet */
	FIELDS_TOO_MANY, /* the row would have more values than fit */
} FieldsPlaced;

/* A point whose values are in the order of their names. */
typedef struct NamedPoint
{
	const char *tag;
	size_t tag_length;
	uint64_t hash;		/* field_places_hash() of the tag */
	const char *packed; /* the names, each after its length of two bytes */
	size_t packed_length;
} NamedPoint;

extern FieldPlaces *field_places_new(void);

extern uint64_t field_places_hash(const char *tag, size_t length);

/*
 * Moves *count values, which have room for MESSAGE_MAX_VALUES, to the places of their fields, and
 * sets *count to what the row has then: up to the last field.  Places between that have no field are
 * NULL.  Unless it returns FIELDS_PLACED, values and *count stay as they are.
 */
extern FieldsPlaced field_places_put(FieldPlaces *places, const NamedPoint *point, double *values,
									 uint32_t *count);

/* Keeps the names of the point that is added to the stage next, which has to wait for its places. */
extern void field_places_wait(Stage *stage, const NamedPoint *point);

/*
 * Places the points of a stage that wait.  If some still have to, has PostgreSQL asked for their
 * places and returns false.  Drops those that do not fit a row then, and appends to dropped, as
 * uint32_t, the numbers that they had in the stage.
 */
extern bool field_places_stage(FieldPlaces *places, Stage *stage, Bytes *dropped);

/*
 * What PostgreSQL is to be asked
 */

/*
 * Moves it to json, which was empty: an array of {"tag":..,"names":[..]}.  Returns false if there is
 * nothing, or if another caller has taken some and has not called field_places_told() yet.
 */
extern bool field_places_take(FieldPlaces *places, Bytes *json);

/*
 * Takes the fields of a series by place; \1 is between them, and one without a name is empty.  age is
 * that of the places when PostgreSQL was asked: if they were forgotten since, nothing is taken.
 */
extern void field_places_learned(FieldPlaces *places, uint32_t age, const char *tag,
								 const char *fields);

/* PostgreSQL has answered, with an error (refused) or with what was learned. */
extern void field_places_told(FieldPlaces *places, bool refused);

/* PostgreSQL refuses to keep places, and what was taken will be told again. */
extern void field_places_refused(FieldPlaces *places);

/*
 * Forgets all places, because those that PostgreSQL keeps may be others now.  The answer to a question
 * that was taken before is of no use then.
 */
extern void field_places_forget(FieldPlaces *places);

/* How often they were forgotten. */
extern uint32_t field_places_age(const FieldPlaces *places);

/* Changes with each answer, after which points that wait may be placed. */
extern uint32_t field_places_answers(const FieldPlaces *places);

#endif /* HISTORIAND_FIELD_PLACES_H */
