/*
 * tls_client.c
 *	  TLS of a client, by OpenSSL: the options that concern it, and the bytes of one connection.
 *
 * OpenSSL works on two buffers in memory (BIO_s_mem), of which the caller fills one and empties the
 * other.  Why a certificate is refused is told while OpenSSL looks at it, because afterwards it is
 * gone.
 */
#define _GNU_SOURCE
#include "tls_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct TlsClient
{
	SSL_CTX *ctx;
	bool own_authorities; /* --ca-file was given */
	bool certificate;	  /* --certificate was given */
};

struct TlsSession
{
	SSL *ssl;
	BIO *received;
	BIO *sent;
	const TlsClient *client;
	char host[256];
	size_t received_bytes;
	char first[5];	   /* the first bytes received */
	bool wrong;		   /* text says why */
	char refused[800]; /* why the server's certificate was refused */
	char text[800];
};

static const char *load_files(TlsClient *client, const TlsFiles *files);
static int on_verified(int right, X509_STORE_CTX *store);

/* Says what is wrong with a file, with OpenSSL's reason. */
static const char *
wrong_file(const char *option, const char *path)
{
	static char wrong[512];
	unsigned long error =
		ERR_SYSTEM_ERROR(ERR_peek_error()) ? ERR_peek_error() : ERR_peek_last_error();
	const char *reason =
		ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);

	snprintf(wrong, sizeof(wrong), "--%s: cannot use %s: %s", option, path,
			 reason != NULL ? reason : "it has none");
	ERR_clear_error();
	return wrong;
}

const char *
tls_client_open(TlsClient **client, const ServerUrl *url, const TlsFiles *files)
{
	*client = NULL;
	if (!url->secure)
		return files->ca_file != NULL || files->certificate != NULL || files->key != NULL
				   ? "--ca-file, --certificate and --key are for a URL that begins with https://"
				   : NULL;
	if (files->key != NULL && files->certificate == NULL)
		return "--key needs --certificate";
	*client = calloc(1, sizeof(**client));
	if (*client == NULL)
		abort();
	(*client)->ctx = SSL_CTX_new(TLS_client_method());
	if ((*client)->ctx == NULL)
		return "OpenSSL cannot be used";
	SSL_CTX_set_min_proto_version((*client)->ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify((*client)->ctx, SSL_VERIFY_PEER, on_verified);
	SSL_CTX_set_mode((*client)->ctx, SSL_MODE_RELEASE_BUFFERS);
	return load_files(*client, files);
}

void
tls_client_close(TlsClient *client)
{
	if (client == NULL)
		return;
	SSL_CTX_free(client->ctx);
	free(client);
}

/* A key with a password is refused: there may be nobody to ask. */
static int
no_password(char *buffer, int size, int writing, void *argument)
{
	(void) buffer;
	(void) size;
	(void) writing;
	(void) argument;
	return 0;
}

static const char *
load_files(TlsClient *client, const TlsFiles *files)
{
	const char *key = files->key != NULL ? files->key : files->certificate;

	ERR_clear_error();
	client->own_authorities = files->ca_file != NULL;
	client->certificate = files->certificate != NULL;
	if (files->ca_file == NULL)
		SSL_CTX_set_default_verify_paths(client->ctx);
	else if (SSL_CTX_load_verify_file(client->ctx, files->ca_file) != 1)
		return wrong_file("ca-file", files->ca_file);
	if (files->certificate == NULL)
		return NULL;
	SSL_CTX_set_default_passwd_cb(client->ctx, no_password);
	if (SSL_CTX_use_certificate_chain_file(client->ctx, files->certificate) != 1)
		return wrong_file("certificate", files->certificate);
	if (SSL_CTX_use_PrivateKey_file(client->ctx, key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(client->ctx) != 1)
		return wrong_file("key", key);
	return NULL;
}

/*
 * Connections
 */

/*
 * Whom the server's certificate must be for, by its subjectAltName (RFC 9525).  An address is not
 * sent as a name (RFC 6066).
 */
static bool
expect_host(SSL *ssl, const char *host)
{
	struct in6_addr address;

	if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl,
					  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

TlsSession *
tls_session_open(const TlsClient *client, const ServerUrl *url)
{
	TlsSession *session = calloc(1, sizeof(*session));

	if (session == NULL)
		abort();
	session->client = client;
	memcpy(session->host, url->host, sizeof(session->host));
	session->ssl = SSL_new(client->ctx);
	session->received = BIO_new(BIO_s_mem());
	session->sent = BIO_new(BIO_s_mem());
	if (session->ssl == NULL || session->received == NULL || session->sent == NULL ||
		!expect_host(session->ssl, url->host))
		abort();
	/* where nothing is left to be read, more may come */
	BIO_set_mem_eof_return(session->received, -1);
	SSL_set_bio(session->ssl, session->received, session->sent);
	SSL_set_app_data(session->ssl, session);
	SSL_set_connect_state(session->ssl);
	SSL_do_handshake(session->ssl);
	return session;
}

void
tls_session_close(TlsSession *session)
{
	if (session == NULL)
		return;
	SSL_free(session->ssl);
	free(session);
}

void
tls_session_receive(TlsSession *session, const char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes && session->received_bytes + i < sizeof(session->first); i++)
		session->first[session->received_bytes + i] = data[i];
	session->received_bytes += bytes;
	if (BIO_write(session->received, data, (int) bytes) != (int) bytes)
		abort();
}

/* The names of a certificate, as text. */
static void
put_names(X509 *certificate, char *text, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	BIO *memory = BIO_new(BIO_s_mem());
	int length;

	if (memory == NULL)
		abort();
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
	{
		if (i > 0)
			BIO_printf(memory, ", ");
		GENERAL_NAME_print(memory, sk_GENERAL_NAME_value(names, i));
	}
	if (sk_GENERAL_NAME_num(names) <= 0)
		BIO_printf(memory, "nobody: it has no subjectAltName");
	length = BIO_read(memory, text, (int) size - 1);
	text[length > 0 ? length : 0] = '\0';
	BIO_free(memory);
	GENERAL_NAMES_free(names);
}

static void
put_time(const ASN1_TIME *time, char *text, size_t size)
{
	BIO *memory = BIO_new(BIO_s_mem());
	int length = 0;

	if (memory != NULL && ASN1_TIME_print(memory, time))
		length = BIO_read(memory, text, (int) size - 1);
	text[length > 0 ? length : 0] = '\0';
	BIO_free(memory);
}

/* Says why a certificate is refused, with a cure. */
static int
on_verified(int right, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	TlsSession *session = SSL_get_app_data(ssl);
	X509 *certificate = X509_STORE_CTX_get_current_cert(store);
	int error = X509_STORE_CTX_get_error(store);
	char what[160];

	if (right)
		return 1;
	switch (error)
	{
		case X509_V_ERR_CERT_HAS_EXPIRED:
			put_time(X509_get0_notAfter(certificate), what, sizeof(what));
			snprintf(session->refused, sizeof(session->refused),
					 "the server's certificate expired on %s; it must be renewed", what);
			break;
		case X509_V_ERR_CERT_NOT_YET_VALID:
			put_time(X509_get0_notBefore(certificate), what, sizeof(what));
			snprintf(session->refused, sizeof(session->refused),
					 "the server's certificate begins on %s; is the clock of this machine right?",
					 what);
			break;
		case X509_V_ERR_HOSTNAME_MISMATCH:
		case X509_V_ERR_IP_ADDRESS_MISMATCH:
			put_names(certificate, what, sizeof(what));
			snprintf(session->refused, sizeof(session->refused),
					 "the server's certificate is not for %s but for %s; the URL must have one of "
					 "its names",
					 session->host, what);
			break;
		default:
			snprintf(session->refused, sizeof(session->refused),
					 "the server's certificate is not trusted (%s); --ca-file must have the "
					 "authority that signed it%s",
					 X509_verify_cert_error_string(error),
					 session->client->own_authorities ? "" : ", unless the system has");
	}
	return 0;
}

/* Says why the connection broke, once. */
static void
tell_wrong(TlsSession *session)
{
	unsigned long error = ERR_peek_error();
	const char *reason = ERR_reason_error_string(error);
	const char *own = session->client->certificate ? "does not accept this --certificate"
												   : "asks for a client certificate: give it by "
													 "--certificate and --key";

	session->wrong = true;
	if (session->refused[0] != '\0')
		snprintf(session->text, sizeof(session->text), "%s", session->refused);
	else if (session->received_bytes >= 5 && memcmp(session->first, "HTTP/", 5) == 0)
		snprintf(session->text, sizeof(session->text),
				 "the port takes HTTP without TLS: the URL must begin with http://");
	else if (ERR_GET_LIB(error) == ERR_LIB_SSL)
		switch (ERR_GET_REASON(error))
		{
			case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
			case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
			case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
			case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
			case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
				snprintf(session->text, sizeof(session->text), "the server %s (%s)", own, reason);
				break;
			case SSL_R_WRONG_VERSION_NUMBER:
			case SSL_R_PACKET_LENGTH_TOO_LONG:
				snprintf(session->text, sizeof(session->text),
						 "the port does not speak TLS (%s): does http:// belong there?", reason);
				break;
			default:
				snprintf(session->text, sizeof(session->text), "TLS failed: %s",
						 reason != NULL ? reason : "no reason is known");
		}
	else
		snprintf(session->text, sizeof(session->text), "TLS failed: %s",
				 reason != NULL ? reason : "no reason is known");
	ERR_clear_error();
}

ssize_t
tls_session_read(TlsSession *session, char *data, size_t room)
{
	size_t bytes = 0;
	int done;

	if (session->wrong)
		return -1;
	ERR_clear_error();
	done = SSL_read_ex(session->ssl, data, room, &bytes);
	if (done == 1)
		return (ssize_t) bytes;
	switch (SSL_get_error(session->ssl, done))
	{
		case SSL_ERROR_WANT_READ:
			return 0;
		case SSL_ERROR_ZERO_RETURN:
			return -1;
		default:
			tell_wrong(session);
			return -1;
	}
}

const char *
tls_session_wrong(const TlsSession *session)
{
	return session->wrong ? session->text : NULL;
}

const char *
tls_session_ended_early(const TlsSession *session)
{
	if (session->wrong)
		return session->text;
	return tls_session_ready(session)
			   ? "the server closed the connection before it answered"
			   : "the server closed the connection during the handshake; does the port speak TLS?";
}

bool
tls_session_ready(const TlsSession *session)
{
	return SSL_is_init_finished(session->ssl);
}

void
tls_session_write(TlsSession *session, const char *data, size_t bytes)
{
	size_t written = 0;

	if (bytes == 0 || session->wrong)
		return;
	ERR_clear_error();
	if (SSL_write_ex(session->ssl, data, bytes, &written) != 1)
		tell_wrong(session);
}

size_t
tls_session_take(TlsSession *session, char *data, size_t room)
{
	int bytes = BIO_read(session->sent, data, room > INT32_MAX ? INT32_MAX : (int) room);

	return bytes > 0 ? (size_t) bytes : 0;
}

size_t
tls_session_waiting(const TlsSession *session)
{
	return BIO_ctrl_pending(session->sent);
}
