/*
 * http_request.c
 *	  The head of an HTTP request, as far as it is kept, and its query parameters.
 *
 * llhttp delivers names and values in pieces of any size, which are collected here.  Only headers
 * that the server uses are kept.  llhttp itself interprets Content-Length, Transfer-Encoding and
 * Connection, and http_framing has checked what a head may have.
 */
#include "http/http_request.h"

#include "base/host.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define KEPT(name, member)                                                                         \
	{                                                                                              \
		name, sizeof(name) - 1, offsetof(HttpRequest, member), sizeof(((HttpRequest *) 0)->member) \
	}

/* The headers whose values are kept, and where.  The first two are in nearly all saves. */
static const struct
{
	const char *name;
	size_t name_length;
	size_t offset;
	size_t size;
} kept[] = {
	KEPT("host", host),
	KEPT("content-type", content_type),
	KEPT("authorization", authorization),
	KEPT("content-encoding", content_encoding),
	KEPT("expect", expect),
	KEPT("origin", origin),
	KEPT("sec-fetch-site", sec_fetch_site),
	KEPT("sec-fetch-mode", sec_fetch_mode),
	KEPT("sec-fetch-dest", sec_fetch_dest),
	KEPT("user-agent", user_agent),
	KEPT("accept-encoding", accept_encoding),
	KEPT("if-none-match", if_none_match),
	KEPT("last-event-id", last_event_id),
	KEPT("x-request-id", request_id),
	KEPT("traceparent", traceparent),
};

void
http_request_reset(HttpRequest *request)
{
	Bytes target = request->target;

	target.length = 0;
	request->target = target;
	request->method = HTTP_METHOD_UNKNOWN;
	request->http_1_0 = false;
	request->accepts_language = false;
	request->expect_continue = false;
	request->chunked = false;
	request->content_length = 0;
	/* A request that was refused before it was asked who makes it has kept its token. */
	explicit_bzero(request->authorization, strlen(request->authorization));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		((char *) request)[kept[i].offset] = '\0';
	request->head_complete = false;
	request->name_length = 0;
	request->in_value = false;
	request->value = NULL;
}

bool
http_request_target(HttpRequest *request, const char *data, size_t length)
{
	if (request->target.length + length > HTTP_MAX_TARGET_BYTES)
		return false;
	bytes_append(&request->target, data, length);
	return true;
}

/* Ends a value: removes the white space at its end. */
static void
end_value(HttpRequest *request)
{
	size_t length = request->value_length;

	request->in_value = false;
	request->name_length = 0;
	if (request->value == NULL)
		return;
	while (length > 0 && (request->value[length - 1] == ' ' || request->value[length - 1] == '\t'))
		request->value[--length] = '\0';
}

void
http_request_header_name(HttpRequest *request, const char *data, size_t length)
{
	if (request->head_complete)
		return;
	if (request->in_value)
		end_value(request);
	if (request->name_length + length >= sizeof(request->name))
	{
		request->name_length = sizeof(request->name);
		return;
	}
	memcpy(request->name + request->name_length, data, length);
	request->name_length += (uint8_t) length;
}

static bool
name_is(const HttpRequest *request, const char *name, size_t length)
{
	return request->name_length == length && (request->name[0] | 0x20) == name[0] &&
		   strncasecmp(request->name, name, length) == 0;
}

static void
append_value(HttpRequest *request, const char *data, size_t length)
{
	size_t room = request->value_size - request->value_length - 1;

	/* A value that does not fit is longer than any that is understood. */
	if (length > room)
		length = room;
	memcpy(request->value + request->value_length, data, length);
	request->value_length += length;
	request->value[request->value_length] = '\0';
}

/* Finds where the value goes, after the name is complete. */
static void
begin_value(HttpRequest *request)
{
	request->in_value = true;
	request->value = NULL;
	if (name_is(request, "accept-language", 15))
		request->accepts_language = true;
	request->value_length = 0;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
	{
		if (name_is(request, kept[i].name, kept[i].name_length))
		{
			request->value = (char *) request + kept[i].offset;
			request->value_size = kept[i].size;
			break;
		}
	}
	/* A header that comes again makes a list, which is refused if there may be only one value. */
	if (request->value != NULL && request->value[0] != '\0')
	{
		request->value_length = strlen(request->value);
		append_value(request, ",", 1);
	}
}

void
http_request_header_value(HttpRequest *request, const char *data, size_t length)
{
	if (request->head_complete)
		return;
	if (!request->in_value)
		begin_value(request);
	if (request->value != NULL)
		append_value(request, data, length);
}

void
http_request_head_complete(HttpRequest *request)
{
	request->head_complete = true;
	if (request->in_value)
		end_value(request);
}

bool
http_request_has_body(const HttpRequest *request)
{
	return request->chunked || request->content_length > 0;
}

bool
http_request_resolve_target(HttpRequest *request, bool secure)
{
	Bytes *target = &request->target;
	const char *scheme = secure ? "https://" : "http://";
	size_t before = strlen(scheme);
	const char *authority = target->data + before;
	size_t length;

	if (target->length > 0 && target->data[0] == '/')
		return true;
	if (target->length == 1 && target->data[0] == '*')
		return request->method == HTTP_OPTIONS;
	if (target->length < before || strncasecmp(target->data, scheme, before) != 0)
		return false;
	/* Without a path, the next slash may be in the query. */
	for (length = 0; before + length < target->length; length++)
	{
		if (strchr("/?@", authority[length]) != NULL)
			break;
	}
	if (length == 0 || length >= sizeof(request->host) || before + length == target->length ||
		authority[length] != '/')
		return false;
	memcpy(request->host, authority, length);
	request->host[length] = '\0';
	bytes_consume(target, before + length);
	return true;
}

bool
http_request_host_valid(const HttpRequest *request)
{
	return (request->http_1_0 && request->host[0] == '\0') ||
		   (strlen(request->host) < sizeof(request->host) - 1 &&
			host_name_length(request->host) > 0);
}

size_t
http_request_path_length(const HttpRequest *request)
{
	const char *question = memchr(request->target.data, '?', request->target.length);

	return question ? (size_t) (question - request->target.data) : request->target.length;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Decodes percent encoding, which has %XX for a byte; in a form plus is a space.  Returns false if it
 * is broken.
 */
static bool
decode(Bytes *out, const char *text, size_t length, bool form)
{
	out->length = 0;
	for (size_t i = 0; i < length; i++)
	{
		char c = text[i];

		if (c == '+' && form)
			c = ' ';
		else if (c == '%')
		{
			int high = length - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = length - i > 2 ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char) (high << 4 | low);
			i += 2;
		}
		bytes_append(out, &c, 1);
	}
	bytes_text(out);
	return true;
}

bool
http_request_path_rest(const HttpRequest *request, size_t from, Bytes *rest)
{
	return decode(rest, request->target.data + from, http_request_path_length(request) - from,
				  false);
}

bool
http_request_parameter(const HttpRequest *request, size_t *position, Bytes *name, Bytes *value,
					   bool *valid)
{
	const char *text = request->target.data;
	size_t end = request->target.length;
	size_t start;
	size_t equals;

	if (*position == 0)
		*position = http_request_path_length(request) + 1;
	while (*position < end && text[*position] == '&')
		++*position;
	if (*position >= end)
		return false;

	start = *position;
	while (*position < end && text[*position] != '&')
		++*position;
	for (equals = start; equals < *position && text[equals] != '='; equals++)
		;
	*valid = decode(name, text + start, equals - start, true);
	if (equals < *position)
		equals++;
	*valid &= decode(value, text + equals, *position - equals, true);
	return true;
}

bool
http_media_type_is(const char *value, const char *type)
{
	size_t length = strlen(type);

	if (strncasecmp(value, type, length) != 0)
		return false;
	value += length;
	while (*value == ' ' || *value == '\t')
		value++;
	return *value == '\0' || *value == ';';
}
