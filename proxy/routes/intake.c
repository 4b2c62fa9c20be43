/*
 * intake.c
 *	  Takes messages from a request's body into the ingest buffer, for /save and /write.
 *
 * Without partial=true a body is strict: all of its messages are stored, or none.  They stay staged
 * until the body has ended without an error, and room for all of them is reserved meanwhile.  Then
 * they are appended, in one step if they are few, and otherwise in pieces, so that the loop can
 * serve others.  Nothing but the end of the process stops that.
 *
 * With partial=true messages are appended as they come, and errors are collected.  If the buffer is
 * full, the body is not read on until there is room.
 *
 * Points of line protocol stay staged until the places of their fields are known.  A partial body is
 * read on meanwhile, up to the size of a piece.
 *
 * All work on a body is cut into steps of some hundred microseconds, and the time is checked after
 * each.
 */
#include "routes/intake.h"

#include "base/assert.h"
#include "http/http_answer.h"
#include "http/http_limit.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A stage of this size becomes a piece, which is appended in one step of at most 3 ms. */
#define PIECE_BYTES 262144

/* The additional memory for a compressed body: zlib's window and state, and its output. */
#define GUNZIP_BYTES 73728

/*
 * Text shrinks to a tenth, rarely to a fiftieth.  A body that shrinks to less was made to cost
 * time.
 */
#define MAX_GZIP_RATIO 200

#define PAGE_BYTES 4096

/* How many intakes a loop keeps for the next requests. */
#define KEPT_INTAKES 64

/* A larger stage is freed after its request; a smaller one is kept for the next. */
#define KEPT_STAGE_BYTES 16384

/* Messages of a strict body that were decoded before the ones in its stage. */
typedef struct StagePiece
{
	ListLink link; /* in Intake.pieces */
	Stage stage;
} StagePiece;

static bool take(Exchange *exchange, const char **data, const char *end);
static bool has_output(Exchange *exchange, const char **data, const char *end);
static void decoded(Intake *intake, size_t length);
static void answer_too_large(Exchange *exchange);
static void answer_ratio(Exchange *exchange);
static void answer_limited(Exchange *exchange);
static bool spend_messages(Intake *intake);
static void put_aside(Intake *intake);
static void count_memory(Intake *intake);
static void drop_messages(Intake *intake);
static bool place(Intake *intake, Stage *stage);
static bool place_all(Exchange *exchange);
static bool append_stage(Intake *intake);
static bool append_or_wait(Intake *intake);
static void append_pieces(TurnTask *task);
static void finish(Exchange *exchange);
static void answer_full(Exchange *exchange);
static void count_errors(Intake *intake);
static void on_commit(void *argument, const CommitOutcome *outcome);

/* The intake is zeroed, except for the memory of its stage. */
Intake *
intake_new(Exchange *exchange)
{
	Loop *loop = loop_of(exchange);
	ListLink *link = stack_pop(&loop->free_intakes);
	Intake *intake;
	Stage stage = {0};

	if (link == NULL)
		intake = memory_new(sizeof(Intake));
	else
	{
		intake = LIST_ITEM(link, Intake, link);
		loop->free_intake_count--;
		stage.data = intake->stage.data;
		stage.capacity = intake->stage.capacity;
	}
	*intake = (Intake){
		.loop = loop,
		.exchange = exchange,
		.stage = stage,
		.stream = stream_name_of("", 0),
		.times = timestamp_rules(1, loop->shared->config->unit_check),
	};
	list_init(&intake->pieces);
	exchange->state = intake;
	return intake;
}

bool
intake_begin(Exchange *exchange, BodyFormat format)
{
	Intake *intake = exchange->state;
	Loop *loop = intake->loop;
	const HttpRequest *request = &exchange->request;
	bool encoded = request->content_encoding[0] != '\0' &&
				   strcasecmp(request->content_encoding, "identity") != 0;
	bool gzip = encoded && (strcasecmp(request->content_encoding, "gzip") == 0 ||
							strcasecmp(request->content_encoding, "x-gzip") == 0);

	if (encoded && !gzip)
	{
		http_problem(exchange, 415, "Content-Encoding \"%s\" is not supported; gzip is",
					 request->content_encoding);
		return false;
	}
	if (!intake->partial && request->content_length > loop->shared->config->max_body_bytes)
	{
		metric_add(&loop->metrics.rejected[REJECT_TOO_LARGE], 1);
		http_problem(exchange, 413,
					 "the body is larger than --max-body-bytes %llu; send less at a time, or "
					 "NDJSON with partial=true",
					 (unsigned long long) loop->shared->config->max_body_bytes);
		return false;
	}
	if (gzip)
	{
		if (!ingest_reserve(loop->shared->ingest, GUNZIP_BYTES))
		{
			answer_full(exchange);
			return false;
		}
		intake->reserved = GUNZIP_BYTES;
		intake->gunzip = gunzip_new();
	}
	body_decoder_init(&intake->decoder, &intake->stage, format, intake->partial, &intake->times);
	intake->decoder.tag_prefix = exchange->principal->prefix;
	intake->decoder.tag_prefix_length = exchange->principal->prefix_length;
	return true;
}

/* Takes a parameter that all intakes have; *seen has the bits of those that came before. */
static bool
read_parameter(Intake *intake, const char *name, const char *value, unsigned *seen)
{
	bool ack = strcmp(name, "ack") == 0;
	unsigned bit = ack ? 1 : 2;
	bool *setting = ack ? &intake->committed : &intake->partial;

	if ((!ack && strcmp(name, "partial") != 0) || (*seen & bit) != 0)
		return false;
	*seen |= bit;
	*setting = strcmp(value, ack ? "committed" : "true") == 0;
	return *setting || strcmp(value, ack ? "received" : "false") == 0;
}

bool
intake_parameters(Exchange *exchange, IntakeParameter own, void *argument, const char *taken)
{
	size_t position = 0;
	Bytes name = {0};
	Bytes value = {0};
	unsigned seen = 0;
	bool valid;
	bool good = true;

	while (good && http_request_parameter(&exchange->request, &position, &name, &value, &valid))
	{
		/* A text with a NUL would be compared only up to that. */
		good = valid && memchr(name.data, '\0', name.length) == NULL &&
			   memchr(value.data, '\0', value.length) == NULL &&
			   ((own != NULL && own(argument, name.data, value.data)) ||
				read_parameter(exchange->state, name.data, value.data, &seen));
	}
	if (!good)
		http_problem(exchange, 400, "parameter \"%.40s\": %s takes %s", name.data ? name.data : "",
					 exchange->route->path, taken);
	bytes_free(&name);
	bytes_free(&value);
	return good;
}

/*
 * Takes a piece of the body, unless a partial body is blocked by a full buffer or the turn is over.
 */
size_t
intake_body(Exchange *exchange, const char *data, size_t length)
{
	Intake *intake = exchange->state;
	const char *rest = data;
	bool all = take(exchange, &rest, data + length);

	if (intake->stopped)
	{
		/* The rest of the body may be long in coming. */
		if (!intake->partial)
			drop_messages(intake);
		if (intake->too_large)
			answer_too_large(exchange);
		else if (intake->limited)
			answer_limited(exchange);
		return length;
	}
	/* Most bodies come in one piece, and hold memory only during this call. */
	if (!all || intake->received_bytes != exchange->request.content_length)
		count_memory(intake);
	return (size_t) (rest - data);
}

/*
 * Decodes input, *data to end, and moves *data on.  Returns false if there is no room for more
 * messages now, or no time.
 */
static bool
take(Exchange *exchange, const char **data, const char *end)
{
	Intake *intake = exchange->state;

	while (!intake->stopped)
	{
		const char **text = data;
		const char *text_end = end;
		const char *before = *data;

		/* zlib may hold output back: there must be room before it is asked. */
		if (intake->partial && !append_or_wait(intake))
			return false;
		if (intake->gunzip != NULL)
		{
			bool more = has_output(exchange, data, end);

			intake->received_bytes += (size_t) (*data - before);
			if (!more)
				return true;
			text = &intake->output;
			text_end = intake->output_end;
			before = *text;
		}
		else if (*data == end)
			return true;
		if (!body_decoder_step(&intake->decoder, text, text_end))
			intake->stopped = true;
		if (intake->gunzip == NULL)
			intake->received_bytes += (size_t) (*text - before);
		decoded(intake, (size_t) (*text - before));
		if (!intake->stopped && http_turn_over(exchange))
			return false;
	}
	return true;
}

/* Is there output of gunzip to decode?  If not, decompresses more of *data to end. */
static bool
has_output(Exchange *exchange, const char **data, const char *end)
{
	Intake *intake = exchange->state;
	size_t left = (size_t) (end - *data);
	size_t length;

	if (intake->output != intake->output_end)
		return true;
	switch (gunzip_step(intake->gunzip, data, &left, &intake->output, &length))
	{
		case GUNZIP_MORE:
			intake->output_end = intake->output + length;
			return true;
		case GUNZIP_HUNGRY:
			break;
		case GUNZIP_CORRUPT:
			body_decoder_fail(&intake->decoder, "the body is not valid gzip");
			intake->stopped = true;
			count_errors(intake);
			break;
	}
	intake->output_end = intake->output;
	return false;
}

/*
 * After a step, which has decoded length bytes: counts them, and checks the limits of the body.  A body
 * with partial=true may go on without end, so that a client that exceeds its limit is stopped there.
 */
static void
decoded(Intake *intake, size_t length)
{
	uint64_t limit = intake->loop->shared->config->max_body_bytes;
	bool within;

	intake->body_bytes += length;
	metric_add(&intake->loop->metrics.bytes_received, length);
	count_errors(intake);
	within = spend_messages(intake);
	if (intake->body_bytes > limit &&
		(!intake->partial ||
		 (intake->gunzip != NULL && intake->body_bytes / MAX_GZIP_RATIO > intake->received_bytes)))
	{
		intake->too_large = true;
		intake->stopped = true;
	}
	else if (intake->partial && intake->body_bytes > limit && !within)
	{
		intake->limited = true;
		intake->stopped = true;
	}
	else if (!intake->partial && intake->stage.length >= PIECE_BYTES)
	{
		put_aside(intake);
		count_memory(intake);
	}
}

/* The answer may free the exchange and its intake. */
static void
answer_too_large(Exchange *exchange)
{
	Intake *intake = exchange->state;

	metric_add(&intake->loop->metrics.rejected[REJECT_TOO_LARGE], 1);
	if (intake->partial)
		answer_ratio(exchange);
	else
		http_problem(exchange, 413,
					 "the decoded body is larger than --max-body-bytes %llu; send less at a time, "
					 "or NDJSON with partial=true",
					 (unsigned long long) intake->loop->shared->config->max_body_bytes);
}

/* Ends a partial body that decompresses to far more than text does. */
static void
answer_ratio(Exchange *exchange)
{
	Intake *intake = exchange->state;
	Bytes detail = {0};
	Bytes body = {0};

	append_stage(intake);
	bytes_printf(
		&detail,
		"a body that exceeds --max-body-bytes may decode to %d times its size, and this one "
		"exceeds that; %llu messages of it were accepted, and the rest was not read",
		MAX_GZIP_RATIO, (unsigned long long) intake->accepted);
	http_problem_begin(exchange, &body, 413, bytes_text(&detail));
	bytes_free(&detail);
	intake_put_partial(intake, "invalid", &body);
	http_problem_body(exchange, 413, &body);
}

/* Counts what was decoded since for --limit-messages; false if the client exceeds that now. */
static bool
spend_messages(Intake *intake)
{
	uint64_t all = intake->unstaged + intake->stage.count + intake->decoder.error_count;
	uint64_t spent = intake->spent;

	if (all <= spent)
		return true;
	intake->spent = all;
	return http_limit_messages(intake->exchange, all - spent);
}

/* Ends a long partial body of a client that sends more messages than it may. */
static void
answer_limited(Exchange *exchange)
{
	Intake *intake = exchange->state;
	Bytes headers = {0};
	Bytes detail = {0};
	Bytes body = {0};

	append_stage(intake);
	http_limit_refused(exchange, LIMIT_MESSAGES, &headers);
	bytes_printf(
		&detail,
		"the client may have %llu messages a second (--limit-messages), and this body exceeds "
		"--max-body-bytes; %llu messages of it were accepted, and the rest was not read",
		(unsigned long long) intake->loop->shared->config->limit_messages,
		(unsigned long long) intake->accepted);
	http_problem_begin(exchange, &body, 429, bytes_text(&detail));
	bytes_puts(&body, ",\"limit\":\"messages\"");
	intake_put_partial(intake, "invalid", &body);
	bytes_puts(&body, "}\n");
	http_answer(exchange, 429, "application/problem+json", bytes_text(&headers), body.data,
				body.length);
	bytes_free(&headers);
	bytes_free(&detail);
	bytes_free(&body);
}

/*
 * The memory of a strict body
 */

/* Makes a piece of the stage, and begins the next stage. */
static void
put_aside(Intake *intake)
{
	StagePiece *piece = memory_new(sizeof(StagePiece));
	size_t capacity = intake->stage.capacity;

	piece->stage = intake->stage;
	piece->stage.data = memory_resize(piece->stage.data, piece->stage.length + 1);
	intake->stage = (Stage){.data = memory_new_raw(capacity), .capacity = capacity};
	list_append(&intake->pieces, &piece->link);
	intake->piece_count++;
	intake->unstaged += piece->stage.count;
	intake->piece_bytes += piece->stage.length + piece->stage.waiting.length;
	if (intake->tags == NULL)
		intake->tags = tag_count_new();
	tag_count_add(intake->tags, &piece->stage);
}

/* The memory of the stage: of what it has beyond its length, the kernel has given a page at most. */
static size_t
staged_memory(const Intake *intake)
{
	const Stage *stage = &intake->stage;
	size_t most = stage->length > intake->most_staged ? stage->length : intake->most_staged;
	size_t given = (most / PAGE_BYTES + 1) * PAGE_BYTES;

	return given < stage->capacity ? given : stage->capacity;
}

/*
 * Counts the memory that the body takes now, and that its pieces will take in the buffer.  If a
 * strict body does not fit, drops its messages.
 */
static void
count_memory(Intake *intake)
{
	Ingest *ingest = intake->loop->shared->ingest;
	size_t bytes = staged_memory(intake) + intake->stage.waiting.capacity +
				   body_decoder_bytes(&intake->decoder) +
				   (intake->gunzip != NULL ? GUNZIP_BYTES : 0);

	if (intake->tags != NULL)
		bytes += batch_estimate(intake->piece_bytes, tag_count_estimate(intake->tags));
	if (bytes <= intake->reserved)
		return;
	if (intake->partial)
		ingest_add(ingest, bytes - intake->reserved); /* the buffer being full stops it */
	else if (!ingest_reserve(ingest, bytes - intake->reserved))
	{
		intake->full = true;
		intake->stopped = true;
		drop_messages(intake);
		return;
	}
	intake->reserved = bytes;
}

static StagePiece *
take_piece(Intake *intake)
{
	ListLink *link = list_take_first(&intake->pieces);

	return link == NULL ? NULL : LIST_ITEM(link, StagePiece, link);
}

bool
intake_take_messages(Intake *intake, Stage *stage)
{
	StagePiece *piece = take_piece(intake);

	if (piece == NULL)
		return false;
	*stage = piece->stage;
	free(piece);
	intake->piece_count--;
	return true;
}

static void
free_piece(StagePiece *piece)
{
	stage_free(&piece->stage);
	free(piece);
}

/* Frees the stage and the pieces. */
static void
drop_messages(Intake *intake)
{
	StagePiece *piece;

	while ((piece = take_piece(intake)) != NULL)
		free_piece(piece);
	intake->piece_count = 0;
	intake->piece_bytes = 0;
	tag_count_free(intake->tags);
	intake->tags = NULL;
	stage_free(&intake->stage);
	bytes_free(&intake->decoder.carry);
	ingest_unreserve(intake->loop->shared->ingest, intake->reserved);
	intake->reserved = 0;
}

static void
note_appended(Intake *intake, const Stage *stage)
{
	intake->accepted += stage->count;
	metric_add(&intake->loop->metrics.messages_received, stage->count);
}

/* Appends a stage's messages to the buffer; false if it has no room. */
static bool
append(Intake *intake, Stage *stage, bool promised)
{
	Loop *loop = intake->loop;
	LineRules *lines = intake->decoder.format == BODY_POINTS ? &intake->decoder.points : NULL;
	bool appended;

	if (lines != NULL)
		point_merge_append_begin(lines->merge, &lines->writer, stage);
	appended = ingest_append(loop->shared->ingest, stage, promised, uv_now(loop->http.uv),
							 intake->stream, intake->committed ? &intake->ticket : NULL);
	if (lines != NULL)
		point_merge_append_end(lines->merge, &lines->writer, appended && !promised);
	return appended;
}

/*
 * Places the points of a stage that wait for it, and refuses those that do not fit a row then.  If
 * some have to wait on, asks for their places and returns false.
 */
static bool
place(Intake *intake, Stage *stage)
{
	Loop *loop = intake->loop;
	Bytes dropped = {0};
	bool all;

	if (stage->waiting.length == 0)
		return true;
	all = field_places_stage(loop->shared->field_places, stage, &dropped);
	for (size_t i = 0; i < dropped.length; i += sizeof(uint32_t))
		body_decoder_refuse(&intake->decoder, "the points of a series have more fields in all than "
											  "a row holds");
	bytes_free(&dropped);
	if (!all)
		name_teller_tick(loop->name_teller, uv_now(loop->http.uv));
	return all;
}

/* Places all points of a strict body; false if some have to wait on, or the turn is over. */
static bool
place_all(Exchange *exchange)
{
	Intake *intake = exchange->state;

	for (ListLink *link = list_first(&intake->pieces); link != NULL;
		 link = list_next(&intake->pieces, link))
	{
		Stage *stage = &LIST_ITEM(link, StagePiece, link)->stage;
		bool waited = stage->waiting.length > 0;
		bool all;

		intake->piece_bytes -= stage->length + stage->waiting.length;
		all = place(intake, stage);
		intake->piece_bytes += stage->length + stage->waiting.length;
		if (!all || (waited && http_turn_over(exchange)))
			return false;
	}
	return place(intake, &intake->stage);
}

/*
 * Appends the stage's messages to the buffer, and empties it; false if the buffer has no room, or
 * points wait for their places.
 */
static bool
append_stage(Intake *intake)
{
	if (intake->stage.count > 0)
	{
		if (!place(intake, &intake->stage) || !append(intake, &intake->stage, false))
			return false;
		note_appended(intake, &intake->stage);
		intake->unstaged += intake->stage.count;
		if (intake->stage.length > intake->most_staged)
			intake->most_staged = intake->stage.length;
		intake->stage.length = 0;
		intake->stage.count = 0;
	}
	return true;
}

/* The same, but a small stage whose points wait for their places may grow meanwhile. */
static bool
append_or_wait(Intake *intake)
{
	bool waiting;

	if (append_stage(intake))
		return true;
	waiting = intake->stage.waiting.length > 0;
	if (waiting && !list_linked(&intake->placeless))
		list_append(&intake->loop->placeless, &intake->placeless);
	return waiting && intake->stage.length + intake->stage.waiting.length < PIECE_BYTES;
}

void
intake_append_placeless(Loop *loop)
{
	ListLink *link = list_first(&loop->placeless);

	while (link != NULL)
	{
		Intake *intake = LIST_ITEM(link, Intake, placeless);

		link = list_next(&loop->placeless, link);
		if (append_stage(intake) || intake->stage.waiting.length == 0)
			list_remove(&intake->placeless);
		count_errors(intake);
	}
}

/* The task of an intake: appends the pieces, as many in a turn as there is time for. */
static void
append_pieces(TurnTask *task)
{
	Intake *intake = LIST_ITEM(task, Intake, task);
	Loop *loop = intake->loop;
	Ingest *ingest = loop->shared->ingest;
	StagePiece *piece;

	while ((piece = take_piece(intake)) != NULL)
	{
		size_t share = intake->reserved / intake->piece_count;

		append(intake, &piece->stage, true);
		note_appended(intake, &piece->stage);
		ingest_unreserve(ingest, share);
		intake->reserved -= share;
		intake->piece_count--;
		free_piece(piece);
		if (intake->piece_count > 0 && turn_slice_over(&loop->http.turns))
		{
			turn_queue(&loop->http.turns, task);
			return;
		}
	}
	ASSERT(intake->piece_count == 0);
	finish(intake->exchange);
}

/* Adds the errors that the decoder has found since to the metrics. */
static void
count_errors(Intake *intake)
{
	metric_add(&intake->loop->metrics.rejected[REJECT_INVALID],
			   intake->decoder.error_count - intake->counted);
	intake->counted = intake->decoder.error_count;
}

/* Returns false where the last messages of a partial body are blocked, or the turn is over. */
bool
intake_end(Exchange *exchange)
{
	Intake *intake = exchange->state;

	if (intake->gunzip != NULL && !intake->stopped)
	{
		const char *none = NULL;

		if (!take(exchange, &none, NULL))
		{
			count_memory(intake);
			return false;
		}
		if (intake->too_large || intake->limited)
		{
			if (intake->too_large)
				answer_too_large(exchange);
			else
				answer_limited(exchange);
			return true;
		}
		if (!intake->stopped && !gunzip_complete(intake->gunzip))
		{
			body_decoder_fail(&intake->decoder, "the gzip data ends too early");
			intake->stopped = true;
		}
	}
	if (!intake->stopped && !body_decoder_finish(&intake->decoder))
		intake->stopped = true;
	count_errors(intake);
	spend_messages(intake);
	if (!intake->partial && intake->decoder.error_count == 0 && !place_all(exchange))
	{
		intake->stopped = true; /* the decoder is finished: the next call goes on here */
		return false;
	}
	count_errors(intake);

	if (!intake->partial && intake->decoder.error_count > 0)
	{
		intake->answer_refused(exchange);
		return true;
	}
	if (intake->piece_count > 0 || (intake->deliver != NULL && intake->stage.count > 0))
	{
		put_aside(intake);
		count_memory(intake);
	}
	if (intake->full)
	{
		answer_full(exchange);
		return true;
	}
	if (intake->deliver != NULL)
	{
		intake->deliver(exchange);
		return true;
	}
	if (intake->piece_count > 0)
	{
		exchange->waiting = true;
		exchange->alone = true; /* later requests must not be appended before it */
		intake->task.run = append_pieces;
		turn_queue(&intake->loop->http.turns, &intake->task);
		return true;
	}
	ingest_unreserve(intake->loop->shared->ingest, intake->reserved);
	intake->reserved = 0;
	if (append_stage(intake))
	{
		count_errors(intake);
		finish(exchange);
	}
	else if (intake->partial)
	{
		intake->stopped = true; /* the decoder is finished: the next call only appends */
		return false;
	}
	else
		answer_full(exchange);
	return true;
}

/* Answers, or waits for the commit, after all messages are in the buffer. */
static void
finish(Exchange *exchange)
{
	Intake *intake = exchange->state;

	if (!intake->committed || intake->accepted == 0)
	{
		intake->answer(exchange);
		return;
	}
	/* If the client leaves while the request waits for the commit, the request need not be kept. */
	exchange->waiting = exchange->connection == NULL;
	intake->waited = true;
	intake->waiter =
		commit_wait(&intake->loop->waiters, &intake->ticket,
					uv_now(intake->loop->http.uv) + intake->loop->shared->config->commit_timeout_ms,
					on_commit, exchange);
}

static void
answer_full(Exchange *exchange)
{
	Intake *intake = exchange->state;

	metric_add(&intake->loop->metrics.rejected[REJECT_BUFFER_FULL], 1);
	http_problem(exchange, 503, "the buffer is full (--max-buffered-bytes %llu)",
				 (unsigned long long) intake->loop->shared->config->max_buffered_bytes);
}

void
intake_block_timeout(Exchange *exchange)
{
	Intake *intake = exchange->state;
	Bytes detail = {0};
	Bytes body = {0};

	if (intake->stage.waiting.length > 0 || !intake->partial)
		bytes_printf(
			&detail,
			"PostgreSQL did not tell the places of fields that are new to this server; %llu "
			"points of this body were accepted, and the rest was not",
			(unsigned long long) intake->accepted);
	else
	{
		metric_add(&intake->loop->metrics.rejected[REJECT_BUFFER_FULL], 1);
		bytes_printf(&detail,
					 "the buffer stayed full (--max-buffered-bytes); %llu messages of this body "
					 "were accepted, and the rest was not read",
					 (unsigned long long) intake->accepted);
	}
	http_problem_begin(exchange, &body, 503, bytes_text(&detail));
	bytes_free(&detail);
	intake_put_partial(intake, "invalid", &body);
	http_problem_body(exchange, 503, &body);
}

void
intake_release(Exchange *exchange)
{
	Intake *intake = exchange->state;

	/*
	 * The client has left in the middle of a body: a waiter clears the board's entries of its rows.
	 */
	if (intake->ticket.number != 0 && !intake->waited)
		commit_wait(&intake->loop->waiters, &intake->ticket,
					uv_now(intake->loop->http.uv) + intake->loop->shared->config->commit_timeout_ms,
					NULL, NULL);
	gunzip_free(intake->gunzip);
	if (intake->waiter != NULL)
		commit_wait_no_more(intake->waiter);
	turn_unqueue(&intake->task);
	if (list_linked(&intake->placeless))
		list_remove(&intake->placeless);
	bytes_free(&intake->stage.waiting);
	if (intake->reserved > 0 || intake->tags != NULL || intake->stage.capacity > KEPT_STAGE_BYTES)
		drop_messages(intake);
	body_decoder_free(&intake->decoder);
	exchange->state = NULL;
	if (intake->loop->free_intake_count == KEPT_INTAKES)
	{
		free(intake->stage.data);
		free(intake);
		return;
	}
	intake->loop->free_intake_count++;
	stack_push(&intake->loop->free_intakes, &intake->link);
}

/*
 * Answers
 */

void
intake_describe_position(const BodyDecoder *decoder, const BodyError *error, Bytes *text,
						 Bytes *member)
{
	bool lines = decoder->format != BODY_JSON;

	if (error->position < 0)
		return;
	if (text != NULL)
		bytes_printf(text, "%s %lld: ", lines ? "line" : "index", (long long) error->position);
	bytes_printf(member, "\"%s\":%lld,", lines ? "line" : "index", (long long) error->position);
}

void
intake_put_partial(const Intake *intake, const char *errors_name, Bytes *body)
{
	const BodyDecoder *decoder = &intake->decoder;
	uint64_t listed = decoder->error_count < BODY_MAX_LISTED_ERRORS ? decoder->error_count
																	: BODY_MAX_LISTED_ERRORS;

	bytes_printf(body, ",\"accepted\":%llu,\"%s\":%llu,\"errors\":[",
				 (unsigned long long) intake->accepted, errors_name,
				 (unsigned long long) decoder->error_count);
	for (uint64_t i = 0; i < listed; i++)
	{
		const BodyError *error = &decoder->errors[i];

		bytes_puts(body, i > 0 ? ",{" : "{");
		intake_describe_position(decoder, error, NULL, body);
		if (error->message.field[0] != '\0')
		{
			bytes_puts(body, "\"field\":");
			bytes_json_string(body, error->message.field, strlen(error->message.field));
			bytes_puts(body, ",");
		}
		bytes_puts(body, "\"detail\":");
		bytes_json_string(body, error->message.detail, strlen(error->message.detail));
		bytes_puts(body, "}");
	}
	bytes_puts(body, "]");
}

bool
intake_read_type(Exchange *exchange, BodyFormat *format)
{
	const char *type = exchange->request.content_type;

	if (type[0] == '\0' || http_media_type_is(type, "application/json"))
		*format = BODY_JSON;
	else if (http_media_type_is(type, "application/x-ndjson"))
		*format = BODY_NDJSON;
	else if (http_media_type_is(type, "application/x-www-form-urlencoded"))
		*format = BODY_JSON;
	else
	{
		http_problem(exchange, 415,
					 "Content-Type \"%s\" is not supported; application/json and "
					 "application/x-ndjson are",
					 type);
		return false;
	}
	return true;
}

void
intake_answer_refused(Exchange *exchange)
{
	Intake *intake = exchange->state;
	const BodyError *error = &intake->decoder.errors[0];
	Bytes detail = {0};
	Bytes member = {0};
	Bytes body = {0};
	int status = error->message.forbidden ? 403 : 400;

	exchange->refused = error->message.forbidden;
	intake_describe_position(&intake->decoder, error, &detail, &member);
	bytes_puts(&detail, error->message.detail);
	http_problem_begin(exchange, &body, status, bytes_text(&detail));
	if (member.length > 0)
	{
		bytes_puts(&body, ",");
		bytes_append(&body, member.data, member.length - 1);
	}
	if (error->message.field[0] != '\0')
	{
		bytes_puts(&body, ",\"field\":");
		bytes_json_string(&body, error->message.field, strlen(error->message.field));
	}
	bytes_free(&detail);
	bytes_free(&member);
	http_problem_body(exchange, status, &body);
}

/* Answers a request that has waited for its commit. */
static void
on_commit(void *argument, const CommitOutcome *outcome)
{
	Exchange *exchange = argument;
	Intake *intake = exchange->state;
	int status = outcome->state == COMMIT_REJECTED ? 422 : 503;
	Bytes body = {0};

	intake->waiter = NULL;
	if (outcome->position != 0 &&
		(outcome->state == COMMIT_DONE || outcome->state == COMMIT_REJECTED))
		http_note_commit(exchange, outcome->position);
	switch (outcome->state)
	{
		case COMMIT_DONE:
			intake->answer(exchange);
			return;
		case COMMIT_UNKNOWN:
			http_problem_begin(exchange, &body, status,
							   "the messages are in the buffer, but not known to be committed "
							   "yet; sending them again is harmless");
			break;
		case COMMIT_LOST:
			http_problem_begin(exchange, &body, status,
							   "a spool file was damaged, and messages of this request may be "
							   "lost with it; sending them again is harmless");
			break;
		case COMMIT_REJECTED:
			http_problem_begin(exchange, &body, status, outcome->message);
			bytes_printf(&body, ",\"sqlstate\":\"%s\",\"rejected\":%llu", outcome->sqlstate,
						 (unsigned long long) outcome->rejected);
			break;
	}
	/* The client must learn of its bad messages too, or it might repeat only the good ones. */
	if (intake->decoder.error_count > 0)
		intake_put_partial(intake, "invalid", &body);
	http_problem_body(exchange, status, &body);
}
