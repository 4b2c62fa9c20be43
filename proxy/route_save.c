/*
 * route_save.c
 *	  POST /save: messages into the ingest buffer, and the answer that says what became of them.
 *
 * Without partial=true a request is whole or nothing: its messages stay staged until the body has
 * ended without an error, then they are appended in one step.  With partial=true they are
 * appended as they come, errors are collected, and when the buffer is full the body is not read
 * on until there is room.
 */
#include "routes.h"

#include "body_decoder.h"
#include "gunzip.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Staged bytes past this count against the buffer's bound; below they are noise. */
#define UNCOUNTED_STAGE_BYTES 65536

/* A larger stage is given back after its request, a smaller one kept for the next. */
#define KEPT_STAGE_BYTES 16384

typedef struct Save
{
	struct Save *next_free; /* in ServerLoop.free_saves */
	ServerLoop *loop;
	bool partial;
	bool committed; /* ack=committed */
	bool full;		/* strict: there was no room for the stage */
	bool stopped;	/* nothing more of the body is of use */
	Stage stage;
	size_t reserved; /* counted against the buffer */
	BodyDecoder decoder;
	Gunzip *gunzip;
	uint64_t body_bytes; /* decoded */
	uint64_t accepted;	 /* messages in the buffer */
	uint64_t counted;	 /* errors that are in the metrics */
	IngestTicket ticket;
	bool waited; /* commit_wait() has the ticket */
} Save;

static void save_begin(Exchange *exchange);
static size_t save_body(Exchange *exchange, const char *data, size_t length);
static bool save_end(Exchange *exchange);
static void save_release(Exchange *exchange);
static void save_block_timeout(Exchange *exchange);

const Route route_save = {
	.path = "/save",
	.metric = ROUTE_SAVE,
	.post = true,
	.begin = save_begin,
	.body = save_body,
	.end = save_end,
	.release = save_release,
	.block_timeout = save_block_timeout,
};

static bool read_parameters(Exchange *exchange, Save *save);
static bool read_type(Exchange *exchange, BodyFormat *format);
static bool take_piece(Exchange *exchange, const char *data, size_t length);
static bool take_compressed(Exchange *exchange, const char **data, size_t *length);
static bool append_stage(Save *save);
static void count_errors(Save *save);
static void answer_errors(Exchange *exchange);
static void put_partial(const Save *save, const char *errors_name, Bytes *body);
static void answer_accepted(Exchange *exchange);
static void on_commit(void *argument, const CommitOutcome *outcome);

/* A zeroed one, except for the memory of its stage. */
static Save *
new_save(ServerLoop *loop)
{
	Save *save = loop->free_saves;
	Stage stage = {0};

	if (save == NULL)
		save = memory_new(sizeof(Save));
	else
	{
		loop->free_saves = save->next_free;
		stage.data = save->stage.data;
		stage.capacity = save->stage.capacity;
	}
	*save = (Save){.loop = loop, .stage = stage};
	return save;
}

static void
save_begin(Exchange *exchange)
{
	ServerLoop *loop = exchange->server_loop;
	const HttpRequest *request = &exchange->request;
	BodyFormat format = BODY_JSON;
	Save *save = new_save(loop);
	bool gzip = strcasecmp(request->content_encoding, "gzip") == 0 ||
				strcasecmp(request->content_encoding, "x-gzip") == 0;

	exchange->state = save;
	if (!read_parameters(exchange, save) || !read_type(exchange, &format))
		return;
	if (!gzip && request->content_encoding[0] != '\0' &&
		strcasecmp(request->content_encoding, "identity") != 0)
	{
		http_problem(exchange, 415, "Content-Encoding \"%s\" is not supported; gzip is",
					 request->content_encoding);
		return;
	}
	if (!save->partial && request->content_length > loop->server->config->max_body_bytes)
	{
		metric_add(&loop->metrics.rejected[REJECT_TOO_LARGE], 1);
		http_problem(exchange, 413,
					 "the body is larger than --max-body-bytes %llu; send less at a time, or "
					 "NDJSON with partial=true",
					 (unsigned long long) loop->server->config->max_body_bytes);
		return;
	}
	if (gzip)
		save->gunzip = gunzip_new();
	body_decoder_init(&save->decoder, &save->stage, format, save->partial);
}

static bool
read_parameters(Exchange *exchange, Save *save)
{
	size_t position = 0;
	Bytes name = {0};
	Bytes value = {0};
	bool valid;
	bool good = true;
	bool ack_given = false;
	bool partial_given = false;

	while (good && http_request_parameter(&exchange->request, &position, &name, &value, &valid))
	{
		/* A value with NUL would be compared only up to there. */
		valid &= memchr(name.data, '\0', name.length) == NULL &&
				 memchr(value.data, '\0', value.length) == NULL;
		if (valid && strcmp(name.data, "ack") == 0 && !ack_given)
		{
			ack_given = true;
			save->committed = strcmp(value.data, "committed") == 0;
			good = save->committed || strcmp(value.data, "received") == 0;
		}
		else if (valid && strcmp(name.data, "partial") == 0 && !partial_given)
		{
			partial_given = true;
			save->partial = strcmp(value.data, "true") == 0;
			good = save->partial || strcmp(value.data, "false") == 0;
		}
		else
			good = false;
	}
	if (!good)
		http_problem(exchange, 400,
					 "parameter \"%.40s\": /save takes ack=received or ack=committed, and "
					 "partial=true or partial=false, each once",
					 name.data ? name.data : "");
	bytes_free(&name);
	bytes_free(&value);
	return good;
}

/* curl's default type, and none, are taken as JSON. */
static bool
read_type(Exchange *exchange, BodyFormat *format)
{
	const char *type = exchange->request.content_type;

	if (http_media_type_is(type, "application/x-ndjson"))
		*format = BODY_NDJSON;
	else if (type[0] == '\0' || http_media_type_is(type, "application/json") ||
			 http_media_type_is(type, "application/x-www-form-urlencoded"))
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

/*
 * The body.  Returns how much of it was taken: less than all where a partial body is blocked by a
 * full buffer.
 */
static size_t
save_body(Exchange *exchange, const char *data, size_t length)
{
	Save *save = exchange->state;
	size_t left = length;

	if (save->stopped)
		return length;
	if (save->gunzip == NULL)
		return take_piece(exchange, data, length) ? length : 0;
	take_compressed(exchange, &data, &left);
	/* After an answer or an error the rest does not matter. */
	return exchange->answered || save->stopped ? length : length - left;
}

/* A decoded piece.  Returns false if it is blocked and was not taken. */
static bool
take_piece(Exchange *exchange, const char *data, size_t length)
{
	Save *save = exchange->state;
	Server *server = save->loop->server;

	if (save->partial && save->stage.count > 0 && !append_stage(save))
		return false;

	save->body_bytes += length;
	metric_add(&save->loop->metrics.bytes_received, length);
	if (!save->partial && save->body_bytes > server->config->max_body_bytes)
	{
		save->stopped = true;
		metric_add(&save->loop->metrics.rejected[REJECT_TOO_LARGE], 1);
		http_problem(exchange, 413,
					 "the decoded body is larger than --max-body-bytes %llu; send less at a time, "
					 "or NDJSON with partial=true",
					 (unsigned long long) server->config->max_body_bytes);
		return true;
	}
	if (!body_decoder_feed(&save->decoder, data, length))
		save->stopped = true;
	count_errors(save);

	if (save->partial)
	{
		append_stage(save); /* if it does not fit now, the next piece is blocked */
		return true;
	}
	if (save->stage.length > save->reserved + UNCOUNTED_STAGE_BYTES)
	{
		size_t more = save->stage.length - save->reserved;

		if (ingest_reserve(server->ingest, more))
			save->reserved += more;
		else
		{
			save->full = true;
			save->stopped = true;
		}
	}
	return true;
}

/* Returns false if it is blocked; *data and *length move on. */
static bool
take_compressed(Exchange *exchange, const char **data, size_t *length)
{
	Save *save = exchange->state;
	const char *output;
	size_t output_length;

	while (!save->stopped)
	{
		/* zlib may hold output back: there must be room before it is asked. */
		if (save->partial && save->stage.count > 0 && !append_stage(save))
			return false;
		switch (gunzip_step(save->gunzip, data, length, &output, &output_length))
		{
			case GUNZIP_MORE:
				take_piece(exchange, output, output_length);
				break;
			case GUNZIP_HUNGRY:
				return true;
			case GUNZIP_CORRUPT:
				body_decoder_fail(&save->decoder, "the body is not valid gzip");
				save->stopped = true;
				break;
		}
	}
	return true;
}

/* Moves the stage into the buffer.  Returns false where there is no room; it is kept then. */
static bool
append_stage(Save *save)
{
	ServerLoop *loop = save->loop;

	if (save->stage.count > 0)
	{
		/* The reservation was for these very messages. */
		ingest_unreserve(loop->server->ingest, save->reserved);
		save->reserved = 0;
		if (!ingest_append(loop->server->ingest, &save->stage, uv_now(&loop->uv),
						   save->committed ? &save->ticket : NULL))
			return false;
		save->accepted += save->stage.count;
		metric_add(&loop->metrics.messages_received, save->stage.count);
		save->stage.length = 0;
		save->stage.count = 0;
	}
	return true;
}

/* Brings the metrics up to what the decoder has found. */
static void
count_errors(Save *save)
{
	metric_add(&save->loop->metrics.rejected[REJECT_INVALID],
			   save->decoder.error_count - save->counted);
	save->counted = save->decoder.error_count;
}

/* Returns false where the last messages of a partial body are blocked. */
static bool
save_end(Exchange *exchange)
{
	Save *save = exchange->state;

	if (save->gunzip != NULL && !save->stopped)
	{
		const char *none = NULL;
		size_t nothing = 0;

		if (!take_compressed(exchange, &none, &nothing))
			return false;
		if (exchange->answered)
			return true;
		if (!save->stopped && !gunzip_complete(save->gunzip))
		{
			body_decoder_fail(&save->decoder, "the gzip data ends too early");
			save->stopped = true;
		}
	}
	if (!save->stopped && !body_decoder_finish(&save->decoder))
		save->stopped = true;
	count_errors(save);

	if (!save->partial && save->decoder.error_count > 0)
	{
		answer_errors(exchange);
		return true;
	}
	if (save->full || !append_stage(save))
	{
		if (save->partial)
		{
			save->stopped = true; /* the body has ended: do not finish it again */
			return false;
		}
		metric_add(&save->loop->metrics.rejected[REJECT_BUFFER_FULL], 1);
		http_problem(exchange, 503, "the buffer is full (--max-buffered-bytes %llu)",
					 (unsigned long long) save->loop->server->config->max_buffered_bytes);
		return true;
	}

	if (save->committed && save->accepted > 0)
	{
		exchange->waiting = true;
		save->waited = true;
		commit_wait(&save->loop->waiters, &save->ticket,
					uv_now(&save->loop->uv) + save->loop->server->config->commit_timeout_ms,
					on_commit, exchange);
	}
	else
		answer_accepted(exchange);
	return true;
}

static void
save_block_timeout(Exchange *exchange)
{
	Save *save = exchange->state;

	Bytes detail = {0};
	Bytes body = {0};

	metric_add(&save->loop->metrics.rejected[REJECT_BUFFER_FULL], 1);
	bytes_printf(&detail,
				 "the buffer stayed full (--max-buffered-bytes); %llu messages of this body were "
				 "accepted, what follows them was not read",
				 (unsigned long long) save->accepted);
	bytes_append(&detail, "", 1);
	http_format_problem(&body, 503, detail.data);
	bytes_free(&detail);
	put_partial(save, "invalid", &body);
	http_problem_body(exchange, 503, &body);
}

static void
save_release(Exchange *exchange)
{
	Save *save = exchange->state;

	if (save->reserved > 0)
		ingest_unreserve(save->loop->server->ingest, save->reserved);
	/* The client left in the middle of a body: what is said of its rows must be taken off the board. */
	if (save->ticket.number != 0 && !save->waited)
		commit_wait(&save->loop->waiters, &save->ticket,
					uv_now(&save->loop->uv) + save->loop->server->config->commit_timeout_ms, NULL,
					NULL);
	gunzip_free(save->gunzip);
	body_decoder_free(&save->decoder);
	if (save->stage.capacity > KEPT_STAGE_BYTES)
	{
		free(save->stage.data);
		save->stage = (Stage){0};
	}
	exchange->state = NULL;
	save->next_free = save->loop->free_saves;
	save->loop->free_saves = save;
}

/*
 * Answers
 */

/* "line 3: " or "message 2: ", and the same as a member. */
static void
describe_position(const BodyDecoder *decoder, const BodyError *error, Bytes *text, Bytes *member)
{
	bool lines = decoder->format == BODY_NDJSON;

	if (error->position < 0)
		return;
	if (text != NULL)
		bytes_printf(text, "%s %lld: ", lines ? "line" : "index", (long long) error->position);
	bytes_printf(member, "\"%s\":%lld,", lines ? "line" : "index", (long long) error->position);
}

/* A strict request with an error: nothing of it was stored. */
static void
answer_errors(Exchange *exchange)
{
	Save *save = exchange->state;
	const BodyError *error = &save->decoder.errors[0];
	Bytes detail = {0};
	Bytes member = {0};
	Bytes body = {0};

	describe_position(&save->decoder, error, &detail, &member);
	bytes_printf(&detail, "%s", error->message.detail);
	bytes_append(&detail, "", 1);
	http_format_problem(&body, 400, detail.data);
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
	http_problem_body(exchange, 400, &body);
}

/*
 * What became of a partial body, as members after others: how many messages were accepted, how many
 * were not under the given name, and the first of those.
 */
static void
put_partial(const Save *save, const char *errors_name, Bytes *body)
{
	const BodyDecoder *decoder = &save->decoder;
	uint64_t listed = decoder->error_count < BODY_MAX_LISTED_ERRORS ? decoder->error_count
																	: BODY_MAX_LISTED_ERRORS;

	bytes_printf(body, ",\"accepted\":%llu,\"%s\":%llu,\"errors\":[",
				 (unsigned long long) save->accepted, errors_name,
				 (unsigned long long) decoder->error_count);
	for (uint64_t i = 0; i < listed; i++)
	{
		const BodyError *error = &decoder->errors[i];

		bytes_puts(body, i > 0 ? ",{" : "{");
		describe_position(decoder, error, NULL, body);
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
answer_accepted(Exchange *exchange)
{
	Save *save = exchange->state;

	Bytes body = {0};

	if (save->decoder.error_count == 0)
	{
		http_answer(exchange, save->committed ? 204 : 202, NULL, NULL, NULL, 0);
		return;
	}
	put_partial(save, "rejected", &body);
	bytes_puts(&body, "}");
	body.data[0] = '{';
	http_answer(exchange, 207, "application/json", NULL, body.data, body.length);
	bytes_free(&body);
}

static void
on_commit(void *argument, const CommitOutcome *outcome)
{
	Exchange *exchange = argument;
	const Save *save = exchange->state;
	int status = outcome->state == COMMIT_REJECTED ? 422 : 503;
	Bytes body = {0};

	switch (outcome->state)
	{
		case COMMIT_DONE:
			answer_accepted(exchange);
			return;
		case COMMIT_UNKNOWN:
			http_format_problem(&body, status,
								"the messages are in the buffer, but not known to be committed "
								"yet; sending them again is harmless");
			break;
		case COMMIT_LOST:
			http_format_problem(&body, status,
								"a spool file was damaged, and messages of this request may be "
								"lost with it; sending them again is harmless");
			break;
		case COMMIT_REJECTED:
			http_format_problem(&body, status, outcome->message);
			bytes_printf(&body, ",\"sqlstate\":\"%s\",\"rejected\":%llu", outcome->sqlstate,
						 (unsigned long long) outcome->rejected);
			break;
	}
	/* The client must learn of its bad messages too: the good ones may be all that it repeats. */
	if (save->decoder.error_count > 0)
		put_partial(save, "invalid", &body);
	http_problem_body(exchange, status, &body);
}
