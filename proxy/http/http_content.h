/*
 * http_content.h
 *	  Answers that may be compressed, or that the client has already.
 */
#ifndef HISTORIAND_HTTP_CONTENT_H
#define HISTORIAND_HTTP_CONTENT_H

#include "http/http_exchange.h"

/* Quotes, 16 hexadecimal digits, "-gzip" and NUL take less. */
#define HTTP_ETAG_BYTES 32

/* Does the client accept gzip? */
extern bool http_accepts_gzip(const HttpRequest *request);

/* Writes the validator of a representation whose content has this hash. */
extern void http_etag(char *etag, uint64_t hash, bool gzip);

/* Does If-None-Match say that the client has that representation already? */
extern bool http_etag_known(const HttpRequest *request, const char *etag);

/*
 * Answers with a whole body, which is in one piece or several, and a strong ETag made of the body.
 * The answer is compressed if the client accepts that and it pays.  It is 304 if the client has the
 * body.  Takes the pieces, but not the array of them.
 */
extern void http_answer_content(Exchange *exchange, const char *content_type, Bytes *pieces,
								int count);

#endif /* HISTORIAND_HTTP_CONTENT_H */
