/*
 * tls_client.h
 *	  TLS of a client, by OpenSSL: the options that concern it, and the bytes of one connection.
 *
 * A TlsClient has the authorities that are trusted and perhaps the client's own certificate.  A
 * TlsSession is one connection.  It touches no socket: it is given what was received, and gives
 * what is to be sent.  The server's certificate must be of a trusted authority, valid today, and
 * for the host of the URL.
 */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include "server_url.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TLS_RECORD_BYTES 16384 /* the most that a record has of what was sent */

/* The lines of --help about the options, and the options. */
#define TLS_CLIENT_HELP                                                                            \
	"  --ca-file FILE       PEM file with the authorities that are trusted for https:// (the\n"    \
	"                       system's)\n"                                                           \
	"  --certificate FILE   PEM file with a certificate that the server may ask for\n"             \
	"  --key FILE           PEM file with its key (the certificate's file)\n"
#define TLS_CLIENT_OPTIONS(ca_file, certificate, key)                                              \
	{"ca-file", required_argument, NULL, ca_file},                                                 \
		{"certificate", required_argument, NULL, certificate},                                     \
	{                                                                                              \
		"key", required_argument, NULL, key                                                        \
	}

typedef struct TlsFiles
{
	const char *ca_file; /* NULL: the system's */
	const char *certificate;
	const char *key;
} TlsFiles;

typedef struct TlsClient TlsClient;
typedef struct TlsSession TlsSession;

/*
 * Reads the files for a URL.  Returns what is wrong, in memory that stays, or NULL; *client is NULL
 * if the URL begins with http://.
 */
extern const char *tls_client_open(TlsClient **client, const ServerUrl *url, const TlsFiles *files);
extern void tls_client_close(TlsClient *client);

/* Begins a connection: what is to be sent first can be taken.  The client must outlive it. */
extern TlsSession *tls_session_open(const TlsClient *client, const ServerUrl *url);
extern void tls_session_close(TlsSession *session);

/* Takes all bytes that the socket gave, before tls_session_read() is called. */
extern void tls_session_receive(TlsSession *session, const char *data, size_t bytes);

/*
 * Gives bytes that the server sent; 0: none before more is received; -1: the connection has ended.
 * In that case tls_session_wrong() says why, or NULL if the server ended it as it should.
 */
extern ssize_t tls_session_read(TlsSession *session, char *data, size_t room);
extern const char *tls_session_wrong(const TlsSession *session);

/* Is the handshake complete, so that tls_session_write() may be called? */
extern bool tls_session_ready(const TlsSession *session);
extern void tls_session_write(TlsSession *session, const char *data, size_t bytes);

/* Gives bytes that are to be sent, and returns how many; 0: none. */
extern size_t tls_session_take(TlsSession *session, char *data, size_t room);
extern size_t tls_session_waiting(const TlsSession *session);

/*
 * What to say of a connection that ended before the handshake was complete, or before any answer
 * came, without a reason of TLS.
 */
extern const char *tls_session_ended_early(const TlsSession *session);

#endif
