/*
 * http_authorize.c
 *	  Finds who makes a request, and decides whether it may.
 *
 * A token comes in the header Authorization: as Bearer (RFC 6750), as the password of Basic (RFC
 * 7617), whose user is ignored, or in InfluxDB's way, "Token ..".  It comes nowhere else: addresses
 * are logged by proxies and kept by browsers.
 *
 * A request without that header is made by the client certificate of its connection, if there is
 * one.  A header that is wrong is refused even then: the client meant to be somebody else.
 *
 * A connection remembers the header that it had last, and whom it named, until the tokens are read
 * again.  The header is wiped from the request at once, so that nothing can log it.
 */
#include "http/http_authorize.h"

#include "base/memory.h"
#include "http/http_answer.h"
#include "http/http_limit.h"
#include "http/http_trace.h"

#include <openssl/crypto.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char challenges[] =
	"WWW-Authenticate: Bearer realm=\"historian\"\r\n"
	"WWW-Authenticate: Basic realm=\"historian\", charset=\"UTF-8\"\r\n";
static const char challenges_invalid[] =
	"WWW-Authenticate: Bearer realm=\"historian\", error=\"invalid_token\"\r\n"
	"WWW-Authenticate: Basic realm=\"historian\", charset=\"UTF-8\"\r\n";

/* The value of a digit of base64, or -1. */
static int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes base64, with or without padding; returns the length, or -1. */
static int
decode_base64(const char *text, char *out, size_t size)
{
	unsigned bits = 0;
	int count = 0;
	size_t length = 0;

	for (; *text != '\0' && *text != '='; text++)
	{
		int digit = base64_digit(*text);

		if (digit < 0)
			return -1;
		bits = bits << 6 | (unsigned) digit;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		if (length == size)
			return -1;
		out[length++] = (char) (bits >> count & 0xff);
	}
	return strspn(text, "=") == strlen(text) && strlen(text) <= 2 ? (int) length : -1;
}

/* Finds the token in the header's value, perhaps in buffer; its length is 0 if there is none. */
static const char *
find_token(const char *value, char *buffer, size_t size, size_t *length)
{
	static const char *const schemes[] = {"Bearer", "Token", "Basic"};
	size_t scheme = strcspn(value, " ");
	const char *credentials = value + scheme + strspn(value + scheme, " ");
	const char *colon;
	int decoded;

	*length = 0;
	for (int i = 0; i < 3; i++)
	{
		if (strlen(schemes[i]) != scheme || strncasecmp(schemes[i], value, scheme) != 0)
			continue;
		if (i < 2)
		{
			*length = strlen(credentials);
			return credentials;
		}
		decoded = decode_base64(credentials, buffer, size);
		colon = decoded < 0 ? NULL : memchr(buffer, ':', (size_t) decoded);
		if (colon == NULL)
			return buffer;
		*length = (size_t) (buffer + decoded - colon - 1);
		return colon + 1;
	}
	return value;
}

/* Whom the tokens have for a header, which may be empty, or for the certificate's subject. */
static Principal *
look_up(HttpConnection *connection, const char *header)
{
	Tokens *tokens = connection->loop->tokens;
	char buffer[HTTP_MAX_AUTHORIZATION_BYTES];
	char name[PRINCIPAL_NAME_BYTES];
	const char *token;
	size_t length;
	Principal *principal;

	if (header[0] != '\0')
	{
		token = find_token(header, buffer, sizeof(buffer), &length);
		principal = tokens_find(tokens, token, length);
		explicit_bzero(buffer, sizeof(buffer));
		return principal;
	}
	if (connection->subject == NULL)
		return NULL;
	if (tokens != NULL)
		return tokens_find_subject(tokens, connection->subject);
	snprintf(name, sizeof(name), "%s", connection->subject);
	return principal_new(name, SCOPE_ALL, "", "");
}

/* The client that the connection had last, or another one that it then remembers; NULL: unknown. */
static Principal *
find_principal(HttpConnection *connection, const char *header)
{
	KnownClient *known = &connection->known_client;
	const Tokens *tokens = connection->loop->tokens;
	uint32_t version = tokens != NULL ? tokens_version(tokens) : 1;
	size_t length = strlen(header);
	Principal *principal;

	if (known->principal != NULL && known->version == version && known->length == length &&
		CRYPTO_memcmp(known->header, header, length) == 0)
		return known->principal;
	principal = look_up(connection, header);
	connection_forget_client(connection);
	if (principal == NULL)
		return NULL;
	known->principal = principal;
	known->version = version;
	known->header = memory_strdup(header);
	known->length = length;
	return principal;
}

/* What the route takes for the method. */
static Access
needed(const Route *route, uint8_t method)
{
	return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_POST ? route->access
																			: route->change_access;
}

static void
refuse(Exchange *exchange, int status, const char *headers, const char *detail)
{
	Bytes body = {0};

	exchange->refused = true;
	http_problem_begin(exchange, &body, status, detail);
	bytes_puts(&body, "}\n");
	http_answer(exchange, status, "application/problem+json", headers, body.data, body.length);
	bytes_free(&body);
}

/* Answers 401: it is not known who asks. */
static bool
refuse_unknown(Exchange *exchange, bool has_header)
{
	if (!http_limit_request(exchange, NULL))
		return false;
	metric_add(&exchange->loop->metrics->unauthorized, 1);
	refuse(exchange, 401, has_header ? challenges_invalid : challenges,
		   has_header ? "the token is not known here; it may have been removed"
					  : "this needs a token: send the header \"Authorization: Bearer TOKEN\" "
						"(historian token new makes one)");
	return false;
}

/* Answers 403: the scope is missing. */
static bool
refuse_scope(Exchange *exchange, Scope scope)
{
	char headers[160];
	char detail[160];
	char names[24];

	principal_put_scopes(scope, names);
	snprintf(headers, sizeof(headers),
			 "WWW-Authenticate: Bearer realm=\"historian\", error=\"insufficient_scope\", "
			 "scope=\"%s\"\r\n",
			 names);
	snprintf(detail, sizeof(detail), "the token \"%s\" does not have the scope %s",
			 exchange->principal->name, names);
	metric_add(&exchange->loop->metrics->tokens_refused[exchange->principal->counter], 1);
	refuse(exchange, 403, headers, detail);
	return false;
}

bool
http_authorize(Exchange *exchange, const Route *route)
{
	static const Scope scopes[] = {
		[ACCESS_ADMIN] = SCOPE_ADMIN, [ACCESS_OPEN] = SCOPE_NONE,	[ACCESS_NAMED] = SCOPE_NONE,
		[ACCESS_READ] = SCOPE_READ,	  [ACCESS_WRITE] = SCOPE_WRITE,
	};
	HttpConnection *connection = exchange->connection;
	char *header = exchange->request.authorization;
	bool has_header = header[0] != '\0';
	Access access = needed(route, exchange->request.method);
	Principal *principal = &principal_anyone;

	if (!connection->health && (connection->loop->tokens != NULL || connection->subject != NULL))
		principal = find_principal(connection, connection->loop->tokens != NULL ? header : "");
	explicit_bzero(header, strlen(header));
	if (principal != NULL)
	{
		exchange->principal = principal_hold(principal);
		if (!principal_may(principal, scopes[access]))
			return http_limit_request(exchange, NULL) && refuse_scope(exchange, scopes[access]);
	}
	else if (access != ACCESS_OPEN)
		return refuse_unknown(exchange, has_header);
	if (!http_limit_request(exchange, route))
		return false;
	if (principal != NULL && principal != &principal_anyone)
		metric_add(&exchange->loop->metrics->tokens_served[principal->counter], 1);
	return true;
}

void
http_authorize_refuse_tag(Exchange *exchange)
{
	char detail[PRINCIPAL_PREFIX_BYTES + 160];

	metric_add(&exchange->loop->metrics->tokens_refused[exchange->principal->counter], 1);
	snprintf(detail, sizeof(detail), "the token \"%s\" is for tags that begin with \"%s\"",
			 exchange->principal->name, exchange->principal->prefix);
	refuse(exchange, 403, NULL, detail);
}
