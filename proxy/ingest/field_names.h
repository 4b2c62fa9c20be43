/*
 * field_names.h
 *	  Finds the names of the fields of line protocol that PostgreSQL has not been told yet.
 *
 * One thread uses it.  Each series is told once with each number of fields that it has had, by the
 * server that is running; PostgreSQL keeps what it knows already.
 */
#ifndef HISTORIAND_FIELD_NAMES_H
#define HISTORIAND_FIELD_NAMES_H

#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FieldNames FieldNames;

extern FieldNames *field_names_new(void);

/* Is there nothing to tell of a series with so many fields?  hash is that of its tag. */
extern bool field_names_known(const FieldNames *names, uint64_t hash, uint32_t count);

/*
 * Keeps what is to be told of a series that is not known.  packed has its names, each after its length
 * of two bytes.  Keeps nothing while too much waits; the series' next point then tries again.
 */
extern void field_names_add(FieldNames *names, uint64_t hash, const char *tag, size_t tag_length,
							const char *packed, uint32_t count);

/*
 * Moves what is to be told to json, which was empty: an array of {"tag":..,"names":[..]}.  Returns
 * false if there is nothing.
 */
extern bool field_names_take(FieldNames *names, Bytes *json);

#endif /* HISTORIAND_FIELD_NAMES_H */
