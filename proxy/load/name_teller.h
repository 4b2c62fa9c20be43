/*
 * name_teller.h
 *	  Tells PostgreSQL the names of fields that POST /write has found (historian.learn_names).
 *
 * Each loop has one.  Nothing waits for it: names come some seconds after the first point of a series.
 */
#ifndef HISTORIAND_NAME_TELLER_H
#define HISTORIAND_NAME_TELLER_H

#include "base/config.h"
#include "database/pg_pool.h"
#include "ingest/field_names.h"

typedef struct NameTeller NameTeller;

extern NameTeller *name_teller_new(PgPool *writes, const Config *config, FieldNames *names);

/* Must be called some times a second.  Tells what waits, unless it has just done so. */
extern void name_teller_tick(NameTeller *teller, uint64_t now_ms);

#endif /* HISTORIAND_NAME_TELLER_H */
