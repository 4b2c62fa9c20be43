/*
 * name_teller.h
 *	  Asks PostgreSQL for the places of the fields that POST /write has found (historian.learn_names).
 *
 * Each loop has one.  One question of the whole server is under way at a time.
 */
#ifndef HISTORIAND_NAME_TELLER_H
#define HISTORIAND_NAME_TELLER_H

#include "base/config.h"
#include "database/pg_pool.h"
#include "ingest/field_places.h"

typedef struct NameTeller NameTeller;

/* answered(argument) is called after PostgreSQL has answered, or has refused to. */
extern NameTeller *name_teller_new(PgPool *writes, const Config *config, FieldPlaces *places,
								   void (*answered)(void *), void *argument);

/* Asks what is to be asked.  Must be called some times a second, and may be called at any time. */
extern void name_teller_tick(NameTeller *teller, uint64_t now_ms);

#endif /* HISTORIAND_NAME_TELLER_H */
