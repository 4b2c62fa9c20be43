/*
 * http_format.c
 *	  The text of HTTP answers and of problem details (RFC 9457).
 */
#include "http/http_format.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct
{
	int status;
	const char *title;
} titles[] = {
	{100, "Continue"},
	{200, "OK"},
	{202, "Accepted"},
	{204, "No Content"},
	{207, "Multi-Status"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{422, "Unprocessable Content"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

static const char *
status_title(int status)
{
	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
	{
		if (titles[i].status == status)
			return titles[i].title;
	}
	return "Unknown";
}

static char *
put(char *out, const char *text)
{
	size_t length = strlen(text);

	memcpy(out, text, length);
	return out + length;
}

static char *
put_number(char *out, size_t number)
{
	char digits[20];
	int count = 0;

	do
	{
		digits[count++] = (char) ('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (count > 0)
		*out++ = digits[--count];
	return out;
}

/*
 * Headers of every answer for browsers: its type is right, and only pages of this server may use
 * it.
 */
static const char for_browsers[] = "X-Content-Type-Options: nosniff\r\n"
								   "Cross-Origin-Resource-Policy: same-origin\r\n"
								   "Referrer-Policy: no-referrer\r\n";

/*
 * For a body that is no page, should a browser show it all the same: nothing in it is run or loaded.  Most
 * answers accept a message and have no body.  They do without, because it would be a third of their bytes.
 */
static const char policy[] = "Content-Security-Policy: default-src 'none'; base-uri 'none'; "
							 "form-action 'none'; frame-ancestors 'none'\r\n";

/* For pages of the origin that comes after it: what else of the answer they may see. */
static const char for_pages[] = "Access-Control-Expose-Headers: Allow, ETag, Retry-After, "
								"X-Historian-Commit, X-Historian-Lag-Ms, X-Request-Id\r\n"
								"Access-Control-Allow-Origin: ";

/* Of two policies both would hold.  A 304 renews the headers of a body that the client has. */
static bool
needs_policy(const HttpAnswer *answer)
{
	return (answer->length > 0 || answer->streamed || answer->status == 304) &&
		   (answer->headers == NULL || strstr(answer->headers, "Content-Security-Policy:") == NULL);
}

/*
 * It does without printf, because it runs once a request, and a request costs a few microseconds.
 */
void
http_format_answer(Bytes *out, const HttpAnswer *answer, const char *date)
{
	size_t extra = (answer->headers ? strlen(answer->headers) : 0) + strlen(answer->notes) +
				   (answer->content_type ? strlen(answer->content_type) : 0) +
				   strlen(answer->request_id) +
				   (answer->allow_origin ? sizeof(for_pages) + strlen(answer->allow_origin) : 0);
	size_t body = answer->head_only ? 0 : answer->length;
	char *start = bytes_reserve(out, 256 + sizeof(for_browsers) + sizeof(policy) + extra + body);
	char *c = start;

	c = put(c, "HTTP/1.1 ");
	c = put_number(c, (size_t) answer->status);
	*c++ = ' ';
	c = put(c, status_title(answer->status));
	c = put(c, "\r\nDate: ");
	c = put(c, date);
	if (answer->streamed)
	{
		if (!answer->http_1_0)
			c = put(c, "\r\nTransfer-Encoding: chunked");
	}
	else if (answer->status != 204 && answer->status != 304)
	{
		c = put(c, "\r\nContent-Length: ");
		c = put_number(c, answer->length);
	}
	if (answer->content_type != NULL)
	{
		c = put(c, "\r\nContent-Type: ");
		c = put(c, answer->content_type);
	}
	c = put(c, "\r\nX-Request-Id: ");
	c = put(c, answer->request_id);
	c = put(c, "\r\n");
	c = put(c, for_browsers);
	if (needs_policy(answer))
		c = put(c, policy);
	if (answer->vary_origin)
		c = put(c, "Vary: Origin\r\n");
	if (answer->allow_origin != NULL)
	{
		c = put(c, for_pages);
		c = put(c, answer->allow_origin);
		c = put(c, "\r\n");
	}
	c = put(c, answer->notes);
	if (answer->headers != NULL)
		c = put(c, answer->headers);
	if (answer->close)
		c = put(c, "Connection: close\r\n");
	else if (answer->http_1_0 && !answer->streamed)
		c = put(c, "Connection: keep-alive\r\n");
	c = put(c, "\r\n");
	if (body > 0)
	{
		memcpy(c, answer->body, body);
		c += body;
	}
	out->length += (size_t) (c - start);
}

void
http_format_date(char *date, size_t size)
{
	time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(date, size, "%a, %d %b %Y %H:%M:%S GMT", &utc);
}

void
http_format_problem(Bytes *body, int status, const char *detail)
{
	bytes_printf(body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
				 status_title(status), status);
	bytes_json_string(body, detail, strlen(detail));
}
