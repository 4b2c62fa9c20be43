/*
 * dry_run.h
 *	  What an import would load, told without loading it.
 */
#ifndef HISTORIAN_DRY_RUN_H
#define HISTORIAN_DRY_RUN_H

#include <stdint.h>

#include "row_batch.h"

#define DRY_RUN_EXAMPLES 3

typedef struct DryRun
{
	uint64_t rows;
	uint64_t rejected;
	int64_t first_ns;
	int64_t last_ns;
	uint32_t fewest_values;
	uint32_t most_values;
	Bytes examples; /* the first rows, as NDJSON */
} DryRun;

extern void dry_run_add(DryRun *run, const RowBatch *batch);

/* Prints what was found. */
extern void dry_run_print(DryRun *run);

#endif /* HISTORIAN_DRY_RUN_H */
