/*
 * route_samples.c
 *	  PUT and DELETE /samples: the samples of a tag within a range, replaced or deleted.
 *
 * The body of a PUT is taken as a strict body of /save is.  When it is complete, a worker thread makes
 * a batch of it, and counts the different times: both take longer than a turn of the loop.
 */
#include "routes/routes.h"

#include "http/http_answer.h"
#include "http/http_trace.h"
#include "loop.h"
#include "routes/change.h"
#include "routes/intake.h"
#include "routes/query.h"

#include <stdlib.h>
#include <string.h>

/* The samples that a PUT brings, while a worker sorts them. */
typedef struct Sorting
{
	uv_work_t work;
	Exchange *exchange; /* NULL: the client has left */
	Stage *stages;
	size_t stage_count;
	Batch *batch;
	uint64_t samples; /* of different times */
} Sorting;

typedef struct Replacement
{
	QueryParameters parameters;
	MessageRange range;
	Sorting *sorting; /* NULL: it has ended, or not begun */
	uint64_t samples;
	Change *change;
} Replacement;

typedef struct Removal
{
	QueryParameters parameters; /* must be first: query.c takes the state for them */
	Change *change;
} Removal;

static void samples_begin(Exchange *exchange);
static size_t samples_body(Exchange *exchange, const char *data, size_t length);
static bool samples_end(Exchange *exchange);
static void samples_release(Exchange *exchange);

const Route route_samples = {
	.path = "/samples",
	.metric = ROUTE_SAMPLES,
	.access = ACCESS_ADMIN,
	.change_access = ACCESS_ADMIN,
	.put = true,
	.remove = true,
	.alone = true,
	.brings_messages = true,
	.begin = samples_begin,
	.body = samples_body,
	.end = samples_end,
	.release = samples_release,
	.block_timeout = intake_block_timeout,
};

static void begin_replacement(Exchange *exchange);
static void begin_removal(Exchange *exchange);
static void sort(Exchange *exchange);
static void sort_in_worker(uv_work_t *work);
static void on_sorted(uv_work_t *work, int status);
static void replace(Exchange *exchange, Batch *rows);
static void answer_replaced(Exchange *exchange, const char *removed);
static void remove_range(Exchange *exchange);
static void answer_removed(Exchange *exchange, const char *removed);

#define RANGE_PARAMETERS (QUERY_TAG | QUERY_START | QUERY_END | QUERY_PRECISION)

static bool
is_put(const Exchange *exchange)
{
	return exchange->request.method == HTTP_PUT;
}

static void
samples_begin(Exchange *exchange)
{
	if (is_put(exchange))
		begin_replacement(exchange);
	else
		begin_removal(exchange);
}

static size_t
samples_body(Exchange *exchange, const char *data, size_t length)
{
	return is_put(exchange) ? intake_body(exchange, data, length) : length;
}

static bool
samples_end(Exchange *exchange)
{
	if (is_put(exchange))
		return intake_end(exchange);
	remove_range(exchange);
	return true;
}

static void
release_replacement(Exchange *exchange)
{
	Replacement *replacement = ((Intake *) exchange->state)->owner;

	if (replacement->sorting != NULL)
	{
		replacement->sorting->exchange = NULL;
		uv_cancel((uv_req_t *) &replacement->sorting->work);
	}
	change_release(replacement->change);
	query_parameters_free(&replacement->parameters);
	free(replacement);
	intake_release(exchange);
}

static void
samples_release(Exchange *exchange)
{
	Removal *removal = exchange->state;

	if (is_put(exchange))
	{
		release_replacement(exchange);
		return;
	}
	change_release(removal->change);
	query_parameters_free(&removal->parameters);
	free(removal);
	exchange->state = NULL;
}

/* Appends "tag, start, end" as arguments of a function of the table's. */
static void
put_range(Bytes *sql, const Exchange *exchange, const QueryParameters *parameters)
{
	change_put_table(sql, exchange);
	bytes_puts(sql, ", ");
	change_put_text(sql, parameters->tag);
	bytes_printf(sql, ", '%lld'::bigint, '%lld'::bigint", (long long) parameters->start_ns,
				 (long long) parameters->end_ns);
}

/*
 * PUT
 */

static void
begin_replacement(Exchange *exchange)
{
	Intake *intake = intake_new(exchange);
	Replacement *replacement = memory_new(sizeof(Replacement));
	QueryParameters *parameters = &replacement->parameters;
	BodyFormat format;

	intake->owner = replacement;
	intake->deliver = sort;
	intake->answer_refused = intake_answer_refused;
	if (!query_parameters_read(exchange, parameters, RANGE_PARAMETERS) ||
		!query_read_range(exchange, parameters) || !intake_read_type(exchange, &format))
		return;
	replacement->range = (MessageRange){
		.tag = parameters->tag,
		.tag_length = strlen(parameters->tag),
		.start_ns = parameters->start_ns,
		.end_ns = parameters->end_ns,
	};
	intake->times = parameters->times;
	if (intake_begin(exchange, format))
		intake->decoder.range = &replacement->range;
}

/* Has a worker sort the messages of the body, which is complete. */
static void
sort(Exchange *exchange)
{
	Intake *intake = exchange->state;
	Replacement *replacement = intake->owner;
	Sorting *sorting = memory_new(sizeof(Sorting));
	Stage stage;

	sorting->stages = memory_new((intake->piece_count + 1) * sizeof(Stage));
	while (intake_take_messages(intake, &stage))
		sorting->stages[sorting->stage_count++] = stage;
	sorting->exchange = exchange;
	sorting->work.data = sorting;
	replacement->sorting = sorting;
	uv_queue_work(intake->loop->http.uv, &sorting->work, sort_in_worker, on_sorted);
}

static int
by_time(const void *a, const void *b)
{
	int64_t first = *(const int64_t *) a;
	int64_t second = *(const int64_t *) b;

	return (first > second) - (first < second);
}

/* How many different times there are; *ascending says whether they come so. */
static uint64_t
count_times(int64_t *times, size_t count, bool ascending)
{
	uint64_t different = 0;

	if (!ascending)
		qsort(times, count, sizeof(int64_t), by_time);
	for (size_t i = 0; i < count; i++)
		different += i == 0 || times[i] != times[i - 1];
	return different;
}

static void
sort_in_worker(uv_work_t *work)
{
	Sorting *sorting = work->data;
	size_t count = 0;
	size_t known = 0;
	int64_t *times;
	bool ascending = true;

	for (size_t i = 0; i < sorting->stage_count; i++)
		count += sorting->stages[i].count;
	times = memory_new_raw((count + 1) * sizeof(int64_t));
	sorting->batch = batch_new(NULL);
	for (size_t i = 0; i < sorting->stage_count; i++)
	{
		Stage *stage = &sorting->stages[i];
		const StagedMessage *message = (const StagedMessage *) stage->data;

		for (uint32_t k = 0; k < stage->count; k++, message = staged_next(message))
		{
			ascending = ascending && (known == 0 || times[known - 1] <= message->time_ns);
			times[known++] = message->time_ns;
		}
		batch_add_stage(sorting->batch, stage, (BatchSource){0});
		stage_free(stage);
	}
	batch_close(sorting->batch);
	sorting->samples = count_times(times, count, ascending);
	free(times);
}

static void
on_sorted(uv_work_t *work, int status)
{
	Sorting *sorting = work->data;
	Exchange *exchange = sorting->exchange;
	Batch *batch = sorting->batch;

	/* If it was cancelled, because the client has left, there is no batch. */
	for (size_t i = 0; status < 0 && i < sorting->stage_count; i++)
		stage_free(&sorting->stages[i]);
	if (exchange != NULL)
	{
		Replacement *replacement = ((Intake *) exchange->state)->owner;

		replacement->samples = sorting->samples;
		replacement->sorting = NULL;
	}
	free(sorting->stages);
	free(sorting);
	if (exchange != NULL)
		replace(exchange, batch);
	else if (batch != NULL)
		batch_free(batch);
}

/* Submits what historian.replace() does, with the samples as rows of a COPY. */
static void
replace(Exchange *exchange, Batch *rows)
{
	Replacement *replacement = ((Intake *) exchange->state)->owner;
	const QueryParameters *parameters = &replacement->parameters;
	Bytes sql = {0};

	bytes_puts(&sql, "SELECT NULL, historian.delete(");
	put_range(&sql, exchange, parameters);
	bytes_printf(&sql,
				 "); COPY %s (time, tag, values) FROM STDIN (FORMAT binary); "
				 "SELECT historian.audit_note('replace', ",
				 loop_of(exchange)->shared->config->table_sql);
	put_range(&sql, exchange, parameters);
	bytes_printf(&sql, " - 1, '%llu'::bigint)", (unsigned long long) replacement->samples);
	change_submit(exchange, &replacement->change, bytes_text(&sql), rows, answer_replaced);
	bytes_free(&sql);
}

static void
answer_replaced(Exchange *exchange, const char *removed)
{
	const Replacement *replacement = ((Intake *) exchange->state)->owner;
	const char *tag = replacement->parameters.tag;
	Bytes body = {0};

	trace_audit(exchange, "replace", tag, "");
	bytes_puts(&body, "{\"tag\":");
	bytes_json_string(&body, tag, strlen(tag));
	bytes_printf(&body, ",\"removed\":%s,\"written\":%llu}\n", removed,
				 (unsigned long long) replacement->samples);
	http_answer(exchange, 200, "application/json", NULL, body.data, body.length);
	bytes_free(&body);
}

/*
 * DELETE
 */

static void
begin_removal(Exchange *exchange)
{
	Removal *removal = memory_new(sizeof(Removal));

	exchange->state = removal;
	if (query_parameters_read(exchange, &removal->parameters, RANGE_PARAMETERS))
		query_read_range(exchange, &removal->parameters);
}

static void
remove_range(Exchange *exchange)
{
	Removal *removal = exchange->state;
	Bytes sql = {0};

	bytes_puts(&sql, "SELECT NULL, historian.delete(");
	put_range(&sql, exchange, &removal->parameters);
	bytes_puts(&sql, ")");
	change_submit(exchange, &removal->change, bytes_text(&sql), NULL, answer_removed);
	bytes_free(&sql);
}

static void
answer_removed(Exchange *exchange, const char *removed)
{
	change_answer_removed(exchange, "delete", ((Removal *) exchange->state)->parameters.tag,
						  removed);
}
