/*
 * line_decoders.c
 *	  NDJSON and InfluxDB's line protocol: the server's own decoders, a line at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "decoder.h"

typedef struct LineDecoder
{
	Decoder base; /* must be first */
	LineRules rules;
} LineDecoder;

static const char *
skip_space(const char *c, const char *end)
{
	while (c < end && (*c == ' ' || *c == '\t' || *c == '\r'))
		c++;
	return c;
}

static DecoderStatus
json_next(Decoder *decoder, const char **data, const char *end, bool last, Stage *stage,
		  uint64_t *lines, MessageError *error)
{
	const char *line = *data;
	const char *line_end = memchr(line, '\n', (size_t) (end - line));
	size_t length = stage->length;

	(void) last;
	if (line_end == NULL)
		return DECODER_MORE;
	*data = line_end + 1;
	++*lines;
	line = skip_space(line, line_end);
	if (line == line_end)
		return DECODER_RECORD;
	if (line_end - line > MESSAGE_MAX_BYTES)
	{
		decoder_set_error(error, "", "the line is longer than %d bytes", MESSAGE_MAX_BYTES);
		return DECODER_RECORD;
	}
	switch (message_scan(stage, &line, line_end, &decoder->cells.times, NULL, error))
	{
		case SCAN_OK:
			if (skip_space(line, line_end) == line_end)
				break;
			stage->length = length;
			stage->count--;
			decoder_set_error(error, "", "there is more than one message on the line");
			break;
		case SCAN_INCOMPLETE:
			decoder_set_error(error, "", "the line ends inside the message");
			break;
		case SCAN_INVALID:
			break;
	}
	return DECODER_RECORD;
}

static DecoderStatus
points_next(Decoder *decoder, const char **data, const char *end, bool last, Stage *stage,
			uint64_t *lines, MessageError *error)
{
	LineDecoder *points = (LineDecoder *) decoder;
	const char *line = *data;
	const char *line_end = line_scan_end(line, end);

	if (line_end == NULL && !last && (size_t) (end - line) < DECODER_MAX_RECORD)
		return DECODER_MORE;
	if (line_end == NULL || line_end - line > MESSAGE_MAX_BYTES)
	{
		/* The end that counts may be that of a string that is not closed. */
		line_end = memchr(line, '\n', (size_t) (end - line));
		if (line_end == NULL)
			return DECODER_MORE;
		decoder_set_error(error, "", "a string is not closed, or the line is longer than %d bytes",
						  MESSAGE_MAX_BYTES);
	}
	*data = line_end + 1;
	for (const char *c = line; c < *data && (c = memchr(c, '\n', (size_t) (*data - c))); c++)
		++*lines;
	line = skip_space(line, line_end);
	if (line < line_end && line_end[-1] == '\r')
		line_end--;
	if (line == line_end || *line == '#' || error->detail[0] != '\0')
		return DECODER_RECORD;
	line_scan(stage, line, line_end, &decoder->cells.times, &points->rules, error);
	return DECODER_RECORD;
}

static void
line_free(Decoder *decoder)
{
	LineDecoder *lines = (LineDecoder *) decoder;

	free(lines->rules.merge);
	free(lines);
}

Decoder *
json_decoder_new(void)
{
	LineDecoder *decoder = memory_new(sizeof(LineDecoder));

	decoder->base.next = json_next;
	decoder->base.free = line_free;
	return &decoder->base;
}

Decoder *
points_decoder_new(FieldPlaces *places, int64_t now_ns, bool skip_strings)
{
	LineDecoder *decoder = memory_new(sizeof(LineDecoder));

	decoder->base.next = points_next;
	decoder->base.merges_lines = true;
	decoder->base.free = line_free;
	decoder->rules.now_ns = now_ns;
	decoder->rules.skip_strings = skip_strings;
	decoder->rules.merge = point_merge_new(places);
	decoder->rules.writer = point_merge_writer(decoder->rules.merge);
	return &decoder->base;
}
