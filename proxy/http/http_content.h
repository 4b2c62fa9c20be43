/*
 * http_content.h
 *	  Answers that a client may have compressed, or has already.
 */
#ifndef HISTORIAND_HTTP_CONTENT_H
#define HISTORIAND_HTTP_CONTENT_H

#include "http/http_exchange.h"

/* "quotes, 16 hexadecimal digits, -gzip" and NUL */
#define HTTP_ETAG_BYTES 32

/* Does the client take gzip? */
extern bool http_accepts_gzip(const HttpRequest *request);

/* Writes the validator of a representation whose content has this hash. */
extern void http_etag(char *etag, uint64_t hash, bool gzip);

/* Has the client that representation already, as it says by If-None-Match? */
extern bool http_etag_known(const HttpRequest *request, const char *etag);

/*
 * Answers with a whole body, which comes in one piece or more: compressed where the client takes that
 * and it pays, with a strong ETag made of the body; 304 where the client has it.  Takes the pieces,
 * not the array of them.
 */
extern void http_answer_content(Exchange *exchange, const char *content_type, Bytes *pieces,
								int count);

#endif /* HISTORIAND_HTTP_CONTENT_H */
