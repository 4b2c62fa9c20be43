/*
 * dry_run.c
 *	  What an import would load, told without loading it.
 */
#include "dry_run.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/timestamp.h"

static void
add_row(DryRun *run, const StagedMessage *row)
{
	if (run->rows == 0 || row->time_ns < run->first_ns)
		run->first_ns = row->time_ns;
	if (run->rows == 0 || row->time_ns > run->last_ns)
		run->last_ns = row->time_ns;
	if (run->rows == 0 || row->value_count < run->fewest_values)
		run->fewest_values = row->value_count;
	if (row->value_count > run->most_values)
		run->most_values = row->value_count;
	if (run->rows < DRY_RUN_EXAMPLES)
	{
		row_batch_put_json(&run->examples, row);
		bytes_puts(&run->examples, "}\n");
	}
	run->rows++;
}

void
dry_run_add(DryRun *run, const RowBatch *batch)
{
	const StagedMessage *row = (const StagedMessage *) batch->stage.data;

	for (uint32_t i = 0; i < batch->stage.count; i++, row = staged_next(row))
		add_row(run, row);
	run->rejected += batch->reject_count;
}

void
dry_run_print(DryRun *run)
{
	char first[TIMESTAMP_TEXT_BYTES];
	char last[TIMESTAMP_TEXT_BYTES];

	printf("%" PRIu64 " row%s, %" PRIu64 " rejected; nothing was loaded\n", run->rows,
		   run->rows == 1 ? "" : "s", run->rejected);
	if (run->rows > 0)
	{
		timestamp_write_rfc3339(run->first_ns, first);
		timestamp_write_rfc3339(run->last_ns, last);
		printf("times %s to %s, %" PRIu32 " to %" PRIu32 " values a row; the first rows:\n%s",
			   first, last, run->fewest_values, run->most_values, bytes_text(&run->examples));
	}
	bytes_free(&run->examples);
}
