/*
 * tls.h
 *	  TLS 1.2 and 1.3 by OpenSSL, between the bytes of a socket and those of HTTP.
 *
 * A TlsContext has the certificate, its key and the authorities of client certificates.  It is
 * shared by threads, and may be read again while connections are open: they keep what they began
 * with.  A Tls is one connection, and belongs to the thread of its loop.  It touches no socket: it
 * is given what was received, and appends what is to be sent.
 */
#ifndef HISTORIAND_TLS_H
#define HISTORIAND_TLS_H

#include "base/config.h"
#include "base/memory.h"

#include <stdbool.h>

#define TLS_WRONG_BYTES 512

/* By how much what was received may fall short of what it holds: a record that came in pieces. */
#define TLS_RECORD_BYTES 16384

typedef struct TlsContext TlsContext;
typedef struct Tls Tls;

/*
 * Reads the files of the settings, which the caller keeps.  Returns NULL and says why if one is
 * wrong.  A client may come without a certificate if there is --tokens-file.
 */
extern TlsContext *tls_context_new(const Config *config, char *wrong, size_t size);

/* Reads them again, for connections that come later.  If one is wrong, nothing changes. */
extern bool tls_context_reload(TlsContext *context, char *wrong, size_t size);

/* When the certificate ends, as text. */
extern void tls_context_put_end(TlsContext *context, char *text, size_t size);

/*
 * Has OpenSSL's memory counted.  Must be called at the start of the program, before anything else
 * uses OpenSSL.
 */
extern void tls_count_memory(void);

extern Tls *tls_new(TlsContext *context);
extern void tls_free(Tls *tls);

typedef enum TlsInput
{
	TLS_OPEN,	/* there may be more */
	TLS_ENDED,	/* the client has said that it sends no more (close_notify) */
	TLS_BROKEN, /* the connection must be closed, after what was appended is sent; see tls_why() */
	TLS_ABSENT, /* the client speaks HTTP without TLS; nothing was appended */
} TlsInput;

/*
 * Opens what was received into plain, which must have room for length + TLS_RECORD_BYTES, and sets
 * *plain_length.  Appends to sealed what the protocol itself has to send.
 */
extern TlsInput tls_open(Tls *tls, const char *data, size_t length, char *plain,
						 size_t *plain_length, Bytes *sealed);

/* Seals plain bytes, and appends them to sealed; false if that is not possible any more. */
extern bool tls_seal(Tls *tls, const char *data, size_t length, Bytes *sealed);

/* Appends, once, that no more will be sent (close_notify). */
extern void tls_end(Tls *tls, Bytes *sealed);

/* How much memory it holds, OpenSSL's included. */
extern size_t tls_memory(const Tls *tls);

/* Is the handshake complete? */
extern bool tls_established(const Tls *tls);

/* The name in the client's certificate, once, for the caller to free; NULL: there is none. */
extern char *tls_take_subject(Tls *tls);

/* Why TLS_BROKEN was returned. */
extern const char *tls_why(const Tls *tls);

#endif /* HISTORIAND_TLS_H */
