/*
 * body_decoder.c
 *	  Cuts a request body, which arrives in pieces, into messages.
 *
 * Messages are scanned where they lie in the piece.  Only a message that is cut by the end of a
 * piece is copied (carry).  It is scanned again once it has doubled, so that a body that is sent
 * byte by byte takes linear time.
 *
 * With partial, NDJSON goes on after a bad line, whatever is in it.  An array goes on only after an
 * element that is valid JSON, because otherwise it is not known where the next one starts.
 */
#include "ingest/body_decoder.h"

#include "ingest/message_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum State
{
	STATE_START,		  /* JSON: before the first byte */
	STATE_ELEMENT,		  /* in an array: a message must follow */
	STATE_ELEMENT_OR_END, /* after the opening bracket */
	STATE_COMMA_OR_END,	  /* after an element */
	STATE_END,			  /* after the object or the array: white space only */
	STATE_LINE,			  /* lines: at the start of a line */
	STATE_SKIP_LINE,	  /* lines: in a line that is too long */
	STATE_FAILED,
};

typedef enum Step
{
	STEP_DONE,	/* all was used */
	STEP_CARRY, /* what *data points at is an incomplete message */
	STEP_LATER, /* *data has more than one call may look at */
} Step;

/*
 * How many messages, good or bad, one call looks at.  REFUSED_BYTES of JSON that is no message
 * count as one.  This takes some hundred microseconds at most.
 */
#define CALL_MESSAGES 256
#define REFUSED_BYTES 16

static Step decode(BodyDecoder *decoder, const char **data, const char *end, bool last);
static Step decode_lines(BodyDecoder *decoder, const char **data, const char *end, bool last);
static Step decode_json(BodyDecoder *decoder, const char **data, const char *end, bool last);
static bool begins_message(BodyDecoder *decoder, const char **data);
static Step decode_message(BodyDecoder *decoder, const char **data, const char *end, bool last,
						   MessageError *error);
static void add_too_long(BodyDecoder *decoder, MessageError *error);
static void decode_line(BodyDecoder *decoder, const char *line, const char *end);
static bool spend(BodyDecoder *decoder, size_t amount);
static Step refused_element(BodyDecoder *decoder, const char **data, const char *end, bool last,
							const MessageError *error);

void
body_decoder_init(BodyDecoder *decoder, Stage *stage, BodyFormat format, bool partial,
				  const TimestampRules *times)
{
	decoder->stage = stage;
	decoder->format = format;
	decoder->times = *times;
	decoder->tag_prefix = "";
	decoder->tag_prefix_length = 0;
	decoder->range = NULL;
	decoder->partial = partial;
	decoder->state = format == BODY_JSON ? STATE_START : STATE_LINE;
	decoder->position = format == BODY_JSON ? -1 : 1;
	decoder->carry = (Bytes){0};
	decoder->carry_tried = 0;
	decoder->error_count = 0;
	decoder->error_capacity = 0;
	decoder->errors = NULL;
}

void
body_decoder_free(BodyDecoder *decoder)
{
	bytes_free(&decoder->carry);
	free(decoder->errors);
	decoder->errors = NULL;
	decoder->error_capacity = 0;
}

size_t
body_decoder_bytes(const BodyDecoder *decoder)
{
	return decoder->carry.capacity + decoder->error_capacity * sizeof(BodyError);
}

static void
add_error(BodyDecoder *decoder, const MessageError *error)
{
	if (decoder->error_count < BODY_MAX_LISTED_ERRORS)
	{
		/* A strict body has one error, and others seldom have many. */
		if (decoder->error_count == decoder->error_capacity)
		{
			decoder->error_capacity = decoder->error_capacity == 0 ? 1 : BODY_MAX_LISTED_ERRORS;
			decoder->errors =
				memory_resize(decoder->errors, decoder->error_capacity * sizeof(BodyError));
		}
		decoder->errors[decoder->error_count].position = decoder->position;
		decoder->errors[decoder->error_count].message = *error;
	}
	decoder->error_count++;
	if (!decoder->partial)
		decoder->state = STATE_FAILED;
}

void
body_decoder_fail(BodyDecoder *decoder, const char *detail)
{
	MessageError error = {0};

	strncpy(error.detail, detail, sizeof(error.detail) - 1);
	add_error(decoder, &error);
	decoder->state = STATE_FAILED;
}

void
body_decoder_refuse(BodyDecoder *decoder, const char *detail)
{
	int64_t position = decoder->position;
	MessageError error = {0};

	strncpy(error.detail, detail, sizeof(error.detail) - 1);
	decoder->position = -1;
	add_error(decoder, &error);
	decoder->position = position;
}

bool
body_decoder_step(BodyDecoder *decoder, const char **from, const char *end)
{
	const char *data = *from;
	Bytes *carry = &decoder->carry;

	*from = end;
	decoder->allowance = CALL_MESSAGES;
	if (carry->length > 0)
	{
		/*
		 * Complete the carried message.  To take the whole piece would copy all of it.  So double
		 * the message, by at least a little, until it is complete.
		 */
		while (data < end && carry->length > 0 && decoder->state != STATE_FAILED)
		{
			size_t take = carry->length < 256 ? 256 : carry->length;
			const char *rest;
			size_t left;

			if (take > (size_t) (end - data))
				take = (size_t) (end - data);
			bytes_append(carry, data, take);
			data += take;
			if (data == end && carry->length < 2 * decoder->carry_tried)
				return true;
			rest = carry->data;
			if (decoder->allowance == 0)
				decoder->allowance = 1; /* for the carried message itself */
			decode(decoder, &rest, carry->data + carry->length, false);
			left = (size_t) (carry->data + carry->length - rest);
			if (left <= take)
			{
				/* The rest is part of this piece: go on where it lies. */
				data -= left;
				carry->length = 0;
			}
			else
			{
				bytes_consume(carry, carry->length - left);
				decoder->carry_tried = left;
			}
		}
	}
	if (decoder->state == STATE_FAILED)
		return false;

	switch (decode(decoder, &data, end, false))
	{
		case STEP_DONE:
			break;
		case STEP_CARRY:
			bytes_append(carry, data, (size_t) (end - data));
			decoder->carry_tried = carry->length;
			break;
		case STEP_LATER:
			*from = data;
			break;
	}
	return decoder->state != STATE_FAILED;
}

bool
body_decoder_finish(BodyDecoder *decoder)
{
	const char *data = decoder->carry.data;

	decoder->allowance = SIZE_MAX;
	if (decoder->carry.length > 0)
		decode(decoder, &data, data + decoder->carry.length, true);
	switch (decoder->state)
	{
		case STATE_START:
			body_decoder_fail(decoder, "the body is empty");
			break;
		case STATE_ELEMENT:
		case STATE_ELEMENT_OR_END:
		case STATE_COMMA_OR_END:
			body_decoder_fail(decoder, "the body ends inside the array");
			break;
	}
	return decoder->state != STATE_FAILED;
}

static Step
decode(BodyDecoder *decoder, const char **data, const char *end, bool last)
{
	if (decoder->state == STATE_FAILED)
	{
		*data = end;
		return STEP_DONE;
	}
	if (decoder->format == BODY_JSON)
		return decode_json(decoder, data, end, last);
	return decode_lines(decoder, data, end, last);
}

/* Takes from the allowance of this call; false if nothing was left of it. */
static bool
spend(BodyDecoder *decoder, size_t amount)
{
	bool left = decoder->allowance > 0;

	decoder->allowance -= decoder->allowance < amount ? decoder->allowance : amount;
	return left;
}

/* Returns where the line ends, or NULL if its end has not arrived. */
static const char *
find_line_end(const BodyDecoder *decoder, const char *line, const char *end)
{
	if (decoder->format == BODY_POINTS)
		return line_scan_end(line, end);
	return memchr(line, '\n', (size_t) (end - line));
}

static const char *
skip_space(const char *c, const char *end)
{
	while (c < end && (*c == ' ' || *c == '\n' || *c == '\r' || *c == '\t'))
		c++;
	return c;
}

/* Is the tag of the message at a place of the stage one that is taken?  If not, sets *error. */
static bool
tag_allowed(const BodyDecoder *decoder, size_t place, MessageError *error)
{
	const StagedMessage *message;

	if (decoder->tag_prefix_length == 0)
		return true;
	message = (const StagedMessage *) (decoder->stage->data + place);
	return message_scan_allows(staged_tag(message), message->tag_length, decoder->tag_prefix,
							   decoder->tag_prefix_length, error);
}

/*
 * Decodes a line of NDJSON without looking for its end first, which is known after a message that is
 * good.  For any other line it stages nothing, and returns false.
 */
static bool
decode_good_line(BodyDecoder *decoder, const char **data, const char *end)
{
	MessageError error;
	size_t length = decoder->stage->length;
	const char *c = *data;

	if (decoder->format != BODY_NDJSON || decoder->state != STATE_LINE || decoder->allowance == 0)
		return false;
	if (end - c > MESSAGE_MAX_BYTES)
		end = c + MESSAGE_MAX_BYTES;
	if (message_scan_line(decoder->stage, &c, end, &decoder->times, decoder->range, &error) !=
		SCAN_OK)
		return false;
	if (c < end && *c == '\r')
		c++;
	if (c == end || *c != '\n' || !tag_allowed(decoder, length, &error))
	{
		decoder->stage->length = length;
		decoder->stage->count--;
		return false;
	}
	spend(decoder, 1);
	decoder->position++;
	*data = c + 1;
	return true;
}

/* Decodes complete lines, and at the body's end (last) the rest as a line. */
static Step
decode_lines(BodyDecoder *decoder, const char **data, const char *end, bool last)
{
	while (*data < end && decoder->state != STATE_FAILED)
	{
		const char *line = *data;
		const char *line_end;

		if (decode_good_line(decoder, data, end))
			continue;
		line_end = find_line_end(decoder, line, end);
		if (line_end == NULL && !last)
		{
			if (decoder->state == STATE_SKIP_LINE)
			{
				*data = end;
				return STEP_DONE;
			}
			if (end - line <= MESSAGE_MAX_BYTES)
				return STEP_CARRY;
		}
		if (!spend(decoder, 1))
			return STEP_LATER;
		if (line_end == NULL)
			line_end = end;
		if (decoder->state == STATE_SKIP_LINE)
			decoder->state = STATE_LINE;
		else if (line_end - line > MESSAGE_MAX_BYTES)
		{
			MessageError error = {0};

			snprintf(error.detail, sizeof(error.detail), "the line is longer than %d bytes",
					 MESSAGE_MAX_BYTES);
			add_error(decoder, &error);
			/* A string may go on after it, and must not be taken for points. */
			if (decoder->format == BODY_POINTS)
				decoder->state = STATE_FAILED;
			if (line_end == end && !last && decoder->state != STATE_FAILED)
			{
				decoder->state = STATE_SKIP_LINE;
				*data = end;
				return STEP_DONE;
			}
		}
		else
			decode_line(decoder, line, line_end);
		decoder->position++;
		*data = line_end < end ? line_end + 1 : end;
	}
	*data = decoder->state == STATE_FAILED ? end : *data;
	return STEP_DONE;
}

/* Decodes one line without its end; an empty line is neither a message nor an error. */
static void
decode_line(BodyDecoder *decoder, const char *line, const char *end)
{
	MessageError error; /* not cleared for each line, because it is large and hardly ever used */
	size_t length_before = decoder->stage->length;

	message_error_clear(&error);
	line = skip_space(line, end);
	if (line == end)
		return;
	if (decoder->format == BODY_POINTS)
	{
		if (*line == '#')
			return; /* a comment */
		if (end[-1] == '\r')
			end--;
		if (!line_scan(decoder->stage, line, end, &decoder->times, &decoder->points, &error))
			add_error(decoder, &error);
		return;
	}
	switch (message_scan(decoder->stage, &line, end, &decoder->times, decoder->range, &error))
	{
		case SCAN_OK:
			if (skip_space(line, end) == end && tag_allowed(decoder, length_before, &error))
				return;
			decoder->stage->length = length_before;
			decoder->stage->count--;
			if (error.forbidden)
				break;
			strcpy(error.detail, "there is more than one message on the line");
			break;
		case SCAN_INCOMPLETE:
			strcpy(error.detail, "the line ends inside the message");
			break;
		case SCAN_INVALID:
			break;
	}
	add_error(decoder, &error);
}

/* Decodes one object or the elements of an array; last says that nothing follows the text. */
static Step
decode_json(BodyDecoder *decoder, const char **data, const char *end, bool last)
{
	MessageError error = {0};

	while ((*data = skip_space(*data, end)) < end && decoder->state != STATE_FAILED)
	{
		if (!begins_message(decoder, data))
			continue;
		if (!spend(decoder, 1))
			return STEP_LATER;
		if (decode_message(decoder, data, end, last, &error) == STEP_CARRY)
			return STEP_CARRY;
	}
	*data = decoder->state == STATE_FAILED ? end : *data;
	return STEP_DONE;
}

/* Does a message begin at *data?  Otherwise steps over the bracket or comma that is there. */
static bool
begins_message(BodyDecoder *decoder, const char **data)
{
	switch (decoder->state)
	{
		case STATE_START:
			if (**data != '[')
				return true;
			decoder->position = 0;
			decoder->state = STATE_ELEMENT_OR_END;
			++*data;
			return false;
		case STATE_COMMA_OR_END:
			if (**data == ',')
			{
				decoder->position++;
				decoder->state = STATE_ELEMENT;
			}
			else if (**data == ']')
				decoder->state = STATE_END;
			else
				body_decoder_fail(decoder, "a comma or a closing bracket is missing");
			++*data;
			return false;
		case STATE_ELEMENT_OR_END:
			if (**data != ']')
				return true;
			decoder->state = STATE_END;
			++*data;
			return false;
		case STATE_END:
			body_decoder_fail(decoder, "there is data after the end of the JSON text; for "
									   "several messages send an array, or NDJSON with "
									   "Content-Type: application/x-ndjson");
			return false;
	}
	return true;
}

/* Decodes a message, or an element of an array that is none. */
static Step
decode_message(BodyDecoder *decoder, const char **data, const char *end, bool last,
			   MessageError *error)
{
	const char *begin = *data;
	size_t length = decoder->stage->length;
	uint32_t count = decoder->stage->count;

	switch (message_scan(decoder->stage, data, end, &decoder->times, decoder->range, error))
	{
		case SCAN_OK:
			if (*data - begin > MESSAGE_MAX_BYTES)
			{
				decoder->stage->length = length;
				decoder->stage->count = count;
				add_too_long(decoder, error);
				if (decoder->state == STATE_START || !decoder->partial)
				{
					decoder->state = STATE_FAILED;
					break;
				}
			}
			else if (!tag_allowed(decoder, length, error))
			{
				decoder->stage->length = length;
				decoder->stage->count = count;
				add_error(decoder, error);
				*error = (MessageError){0};
				if (decoder->state == STATE_FAILED)
					break;
			}
			decoder->state = decoder->state == STATE_START ? STATE_END : STATE_COMMA_OR_END;
			break;
		case SCAN_INCOMPLETE:
			if (last)
				body_decoder_fail(decoder, "the body ends inside a message");
			else if (end - *data <= MESSAGE_MAX_BYTES)
				return STEP_CARRY;
			else
			{
				add_too_long(decoder, error);
				decoder->state = STATE_FAILED;
			}
			break;
		case SCAN_INVALID:
			if (decoder->state != STATE_START && decoder->partial)
				return refused_element(decoder, data, end, last, error);
			add_error(decoder, error);
			decoder->state = STATE_FAILED;
			break;
	}
	return STEP_DONE;
}

static void
add_too_long(BodyDecoder *decoder, MessageError *error)
{
	snprintf(error->detail, sizeof(error->detail), "the message is longer than %d bytes",
			 MESSAGE_MAX_BYTES);
	add_error(decoder, error);
}

/*
 * Notes the error of an array's element that is not a message, and skips the element if it is JSON.
 */
static Step
refused_element(BodyDecoder *decoder, const char **data, const char *end, bool last,
				const MessageError *error)
{
	size_t available = (size_t) (end - *data);
	size_t extent = 0;
	JsonExtent result;

	if (available > MESSAGE_MAX_BYTES)
		available = MESSAGE_MAX_BYTES;
	result = message_json_extent(*data, available, &extent);
	spend(decoder, extent / REFUSED_BYTES);
	if (result == JSON_INCOMPLETE && available < MESSAGE_MAX_BYTES && !last)
		return STEP_CARRY;
	add_error(decoder, error);
	if (result == JSON_COMPLETE)
	{
		*data += extent;
		decoder->state = STATE_COMMA_OR_END;
	}
	else
		decoder->state = STATE_FAILED;
	return STEP_DONE;
}
