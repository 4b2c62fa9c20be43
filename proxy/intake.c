/*
 * intake.c
 *	  A request's body of messages on its way into the ingest buffer: what /save and /write share.
 *
 * Without partial=true a request is whole or nothing: its messages stay staged until the body has
 * ended without an error, then they are appended in one step.  With partial=true they are
 * appended as they come, errors are collected, and when the buffer is full the body is not read
 * on until there is room.
 */
#include "intake.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Staged bytes past this count against the buffer's bound; below they are noise. */
#define UNCOUNTED_STAGE_BYTES 65536

/* A larger stage is given back after its request, a smaller one kept for the next. */
#define KEPT_STAGE_BYTES 16384

static bool take_piece(Exchange *exchange, const char *data, size_t length);
static bool take_compressed(Exchange *exchange, const char **data, size_t *length);
static bool append_stage(Intake *intake);
static void count_errors(Intake *intake);
static void on_commit(void *argument, const CommitOutcome *outcome);

/* A zeroed one, except for the memory of its stage. */
Intake *
intake_new(Exchange *exchange)
{
	ServerLoop *loop = exchange->server_loop;
	Intake *intake = loop->free_intakes;
	Stage stage = {0};

	if (intake == NULL)
		intake = memory_new(sizeof(Intake));
	else
	{
		loop->free_intakes = intake->next_free;
		stage.data = intake->stage.data;
		stage.capacity = intake->stage.capacity;
	}
	*intake = (Intake){.loop = loop, .stage = stage};
	exchange->state = intake;
	return intake;
}

bool
intake_begin(Exchange *exchange, BodyFormat format)
{
	Intake *intake = exchange->state;
	ServerLoop *loop = intake->loop;
	const HttpRequest *request = &exchange->request;
	bool gzip = strcasecmp(request->content_encoding, "gzip") == 0 ||
				strcasecmp(request->content_encoding, "x-gzip") == 0;

	if (!gzip && request->content_encoding[0] != '\0' &&
		strcasecmp(request->content_encoding, "identity") != 0)
	{
		http_problem(exchange, 415, "Content-Encoding \"%s\" is not supported; gzip is",
					 request->content_encoding);
		return false;
	}
	if (!intake->partial && request->content_length > loop->server->config->max_body_bytes)
	{
		metric_add(&loop->metrics.rejected[REJECT_TOO_LARGE], 1);
		http_problem(exchange, 413,
					 "the body is larger than --max-body-bytes %llu; send less at a time, or "
					 "NDJSON with partial=true",
					 (unsigned long long) loop->server->config->max_body_bytes);
		return false;
	}
	if (gzip)
		intake->gunzip = gunzip_new();
	body_decoder_init(&intake->decoder, &intake->stage, format, intake->partial);
	return true;
}

/* One of the parameters that all intakes have; seen is 0 before the first. */
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
		/* A value with NUL would be compared only up to there. */
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
 * The body.  Returns how much of it was taken: less than all where a partial body is blocked by a
 * full buffer.
 */
size_t
intake_body(Exchange *exchange, const char *data, size_t length)
{
	Intake *intake = exchange->state;
	size_t left = length;

	if (intake->stopped)
		return length;
	if (intake->gunzip == NULL)
		return take_piece(exchange, data, length) ? length : 0;
	take_compressed(exchange, &data, &left);
	/* After an answer or an error the rest does not matter. */
	return exchange->answered || intake->stopped ? length : length - left;
}

/* A decoded piece.  Returns false if it is blocked and was not taken. */
static bool
take_piece(Exchange *exchange, const char *data, size_t length)
{
	Intake *intake = exchange->state;
	Server *server = intake->loop->server;

	if (intake->partial && intake->stage.count > 0 && !append_stage(intake))
		return false;

	intake->body_bytes += length;
	metric_add(&intake->loop->metrics.bytes_received, length);
	if (!intake->partial && intake->body_bytes > server->config->max_body_bytes)
	{
		intake->stopped = true;
		metric_add(&intake->loop->metrics.rejected[REJECT_TOO_LARGE], 1);
		http_problem(exchange, 413,
					 "the decoded body is larger than --max-body-bytes %llu; send less at a time, "
					 "or NDJSON with partial=true",
					 (unsigned long long) server->config->max_body_bytes);
		return true;
	}
	if (!body_decoder_feed(&intake->decoder, data, length))
		intake->stopped = true;
	count_errors(intake);

	if (intake->partial)
	{
		append_stage(intake); /* if it does not fit now, the next piece is blocked */
		return true;
	}
	if (intake->stage.length > intake->reserved + UNCOUNTED_STAGE_BYTES)
	{
		size_t more = intake->stage.length - intake->reserved;

		if (ingest_reserve(server->ingest, more))
			intake->reserved += more;
		else
		{
			intake->full = true;
			intake->stopped = true;
		}
	}
	return true;
}

/* Returns false if it is blocked; *data and *length move on. */
static bool
take_compressed(Exchange *exchange, const char **data, size_t *length)
{
	Intake *intake = exchange->state;
	const char *output;
	size_t output_length;

	while (!intake->stopped)
	{
		/* zlib may hold output back: there must be room before it is asked. */
		if (intake->partial && intake->stage.count > 0 && !append_stage(intake))
			return false;
		switch (gunzip_step(intake->gunzip, data, length, &output, &output_length))
		{
			case GUNZIP_MORE:
				take_piece(exchange, output, output_length);
				break;
			case GUNZIP_HUNGRY:
				return true;
			case GUNZIP_CORRUPT:
				body_decoder_fail(&intake->decoder, "the body is not valid gzip");
				intake->stopped = true;
				break;
		}
	}
	return true;
}

/* Moves the stage into the buffer.  Returns false where there is no room; it is kept then. */
static bool
append_stage(Intake *intake)
{
	ServerLoop *loop = intake->loop;

	if (intake->stage.count > 0)
	{
		/* The reservation was for these very messages. */
		ingest_unreserve(loop->server->ingest, intake->reserved);
		intake->reserved = 0;
		if (!ingest_append(loop->server->ingest, &intake->stage, uv_now(&loop->uv),
						   intake->committed ? &intake->ticket : NULL))
			return false;
		intake->accepted += intake->stage.count;
		metric_add(&loop->metrics.messages_received, intake->stage.count);
		intake->stage.length = 0;
		intake->stage.count = 0;
	}
	return true;
}

/* Brings the metrics up to what the decoder has found. */
static void
count_errors(Intake *intake)
{
	metric_add(&intake->loop->metrics.rejected[REJECT_INVALID],
			   intake->decoder.error_count - intake->counted);
	intake->counted = intake->decoder.error_count;
}

/* Returns false where the last messages of a partial body are blocked. */
bool
intake_end(Exchange *exchange)
{
	Intake *intake = exchange->state;

	if (intake->gunzip != NULL && !intake->stopped)
	{
		const char *none = NULL;
		size_t nothing = 0;

		if (!take_compressed(exchange, &none, &nothing))
			return false;
		if (exchange->answered)
			return true;
		if (!intake->stopped && !gunzip_complete(intake->gunzip))
		{
			body_decoder_fail(&intake->decoder, "the gzip data ends too early");
			intake->stopped = true;
		}
	}
	if (!intake->stopped && !body_decoder_finish(&intake->decoder))
		intake->stopped = true;
	count_errors(intake);

	if (!intake->partial && intake->decoder.error_count > 0)
	{
		intake->answer_refused(exchange);
		return true;
	}
	if (intake->full || !append_stage(intake))
	{
		if (intake->partial)
		{
			intake->stopped = true; /* the body has ended: do not finish it again */
			return false;
		}
		metric_add(&intake->loop->metrics.rejected[REJECT_BUFFER_FULL], 1);
		http_problem(exchange, 503, "the buffer is full (--max-buffered-bytes %llu)",
					 (unsigned long long) intake->loop->server->config->max_buffered_bytes);
		return true;
	}

	if (intake->committed && intake->accepted > 0)
	{
		exchange->waiting = true;
		intake->waited = true;
		commit_wait(&intake->loop->waiters, &intake->ticket,
					uv_now(&intake->loop->uv) + intake->loop->server->config->commit_timeout_ms,
					on_commit, exchange);
	}
	else
		intake->answer(exchange);
	return true;
}

void
intake_block_timeout(Exchange *exchange)
{
	Intake *intake = exchange->state;
	Bytes detail = {0};
	Bytes body = {0};

	metric_add(&intake->loop->metrics.rejected[REJECT_BUFFER_FULL], 1);
	bytes_printf(&detail,
				 "the buffer stayed full (--max-buffered-bytes); %llu messages of this body were "
				 "accepted, what follows them was not read",
				 (unsigned long long) intake->accepted);
	bytes_append(&detail, "", 1);
	http_problem_begin(exchange, &body, 503, detail.data);
	bytes_free(&detail);
	intake_put_partial(intake, "invalid", &body);
	http_problem_body(exchange, 503, &body);
}

void
intake_release(Exchange *exchange)
{
	Intake *intake = exchange->state;

	if (intake->reserved > 0)
		ingest_unreserve(intake->loop->server->ingest, intake->reserved);
	/* The client left in the middle of a body: what is said of its rows must be taken off the board. */
	if (intake->ticket.number != 0 && !intake->waited)
		commit_wait(&intake->loop->waiters, &intake->ticket,
					uv_now(&intake->loop->uv) + intake->loop->server->config->commit_timeout_ms,
					NULL, NULL);
	gunzip_free(intake->gunzip);
	body_decoder_free(&intake->decoder);
	if (intake->stage.capacity > KEPT_STAGE_BYTES)
	{
		free(intake->stage.data);
		intake->stage = (Stage){0};
	}
	exchange->state = NULL;
	intake->next_free = intake->loop->free_intakes;
	intake->loop->free_intakes = intake;
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

static void
on_commit(void *argument, const CommitOutcome *outcome)
{
	Exchange *exchange = argument;
	Intake *intake = exchange->state;
	int status = outcome->state == COMMIT_REJECTED ? 422 : 503;
	Bytes body = {0};

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
	/* The client must learn of its bad messages too: the good ones may be all that it repeats. */
	if (intake->decoder.error_count > 0)
		intake_put_partial(intake, "invalid", &body);
	http_problem_body(exchange, status, &body);
}
