/*
 * tls.c
 *	  TLS 1.2 and 1.3 by OpenSSL, between the bytes of a socket and those of HTTP.
 *
 * OpenSSL reads and writes by a BIO of our own, which is a window on the bytes that were received
 * and on the buffer of those to be sent.  OpenSSL's memory BIO would copy both once more, and keep
 * the largest buffer that a connection ever had.
 *
 * What a client can make the server hold is bounded: a handshake by HANDSHAKE_BYTES that it sends,
 * a record by the protocol, and what the protocol answers by CONTROL_BYTES.  Renegotiation, early
 * data and compression are off.  A session can be resumed by a ticket, whose keys are in memory
 * only, and change whenever the files are read again: so a client certificate that a new authority
 * would not accept is not accepted by a ticket either.
 */
#include "http/tls.h"

#include "base/assert.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_BYTES	  262144
#define CONTROL_BYTES	  65536
#define CERTIFICATE_BYTES 65536 /* of a client's chain */
#define SUBJECT_BYTES	  64	/* with a NUL */

struct TlsContext
{
	const Config *config;
	pthread_mutex_t lock; /* guards current */
	SSL_CTX *current;
};

struct Tls
{
	SSL *ssl;
	const char *received; /* of these, OpenSSL has not read the rest */
	size_t received_bytes;
	Bytes *sealed;			/* where OpenSSL writes to, while it may */
	size_t handshake_bytes; /* received before the handshake was complete */
	size_t memory;			/* what OpenSSL holds for it */
	bool established;
	bool named; /* tls_take_subject() has been called */
	const char *why;
	char why_text[256];
};

/*
 * What OpenSSL has allocated in this thread, less what it has freed.  The difference over calls for a
 * connection is what the connection holds: a record that came in part, for example, or the state of a
 * handshake, which a constant would not tell.
 */
static _Thread_local size_t allocated;

static BIO_METHOD *window_method;
static pthread_once_t window_made = PTHREAD_ONCE_INIT;

static void make_window_method(void);
static SSL_CTX *load(const Config *config, char *wrong, size_t size);
static void forget_errors(void);
static TlsInput broken(Tls *tls, const char *why);
static TlsInput open_records(Tls *tls, char *plain, size_t room, size_t *plain_length);

/*
 * Memory
 */

/* What malloc uses for a block. */
static size_t
block_bytes(void *block)
{
	return block == NULL ? 0 : malloc_usable_size(block) + sizeof(size_t);
}

static void *
allocate(size_t size, const char *file, int line)
{
	void *block = size == 0 ? NULL : malloc(size);

	(void) file;
	(void) line;
	memory_occupy(block, size);
	allocated += block_bytes(block);
	return block;
}

static void
release(void *block, const char *file, int line)
{
	(void) file;
	(void) line;
	allocated -= block_bytes(block);
	free(block);
}

static void *
reallocate(void *block, size_t size, const char *file, int line)
{
	size_t before = block_bytes(block);
	void *changed;

	if (size == 0)
	{
		release(block, file, line);
		return NULL;
	}
	changed = realloc(block, size);
	if (changed != NULL)
		allocated += block_bytes(changed) - before;
	return changed;
}

void
tls_count_memory(void)
{
	bool counted = CRYPTO_set_mem_functions(allocate, reallocate, release) == 1;

	ASSERT(counted);
}

/* Adds what was allocated since to what the connection holds. */
static void
count_memory(Tls *tls, size_t before)
{
	size_t grown = allocated - before; /* it may have become less, which wraps around twice */

	/* What threads share may be freed with a connection that has not allocated it. */
	tls->memory = tls->memory + grown > SIZE_MAX / 2 ? 0 : tls->memory + grown;
}

size_t
tls_memory(const Tls *tls)
{
	return sizeof(Tls) + tls->memory;
}

/*
 * The window
 */

static int
window_read(BIO *bio, char *data, int length)
{
	Tls *tls = BIO_get_data(bio);
	size_t count = tls->received_bytes < (size_t) length ? tls->received_bytes : (size_t) length;

	BIO_clear_retry_flags(bio);
	if (count == 0)
	{
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(data, tls->received, count);
	tls->received += count;
	tls->received_bytes -= count;
	return (int) count;
}

static int
window_write(BIO *bio, const char *data, int length)
{
	Tls *tls = BIO_get_data(bio);

	if (tls->sealed == NULL)
		return -1;
	bytes_append(tls->sealed, data, (size_t) length);
	return length;
}

static long
window_control(BIO *bio, int command, long number, void *pointer)
{
	(void) bio;
	(void) number;
	(void) pointer;
	return command == BIO_CTRL_FLUSH;
}

static int
window_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static void
make_window_method(void)
{
	window_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "window");
	if (window_method == NULL)
		return;
	BIO_meth_set_read(window_method, window_read);
	BIO_meth_set_write(window_method, window_write);
	BIO_meth_set_ctrl(window_method, window_control);
	BIO_meth_set_create(window_method, window_create);
}

/*
 * Certificates
 */

TlsContext *
tls_context_new(const Config *config, char *wrong, size_t size)
{
	SSL_CTX *current;
	TlsContext *context;

	pthread_once(&window_made, make_window_method);
	current = load(config, wrong, size);
	if (current == NULL)
		return NULL;
	context = memory_new(sizeof(TlsContext));
	context->config = config;
	context->current = current;
	pthread_mutex_init(&context->lock, NULL);
	return context;
}

bool
tls_context_reload(TlsContext *context, char *wrong, size_t size)
{
	SSL_CTX *fresh = load(context->config, wrong, size);
	SSL_CTX *old;

	if (fresh == NULL)
		return false;
	pthread_mutex_lock(&context->lock);
	old = context->current;
	context->current = fresh;
	pthread_mutex_unlock(&context->lock);
	SSL_CTX_free(old); /* connections hold it as long as they need it */
	return true;
}

void
tls_context_put_end(TlsContext *context, char *text, size_t size)
{
	BIO *memory = BIO_new(BIO_s_mem());
	int length = 0;

	pthread_mutex_lock(&context->lock);
	if (memory != NULL &&
		ASN1_TIME_print(memory, X509_get0_notAfter(SSL_CTX_get0_certificate(context->current))))
		length = BIO_read(memory, text, (int) size - 1);
	pthread_mutex_unlock(&context->lock);
	text[length > 0 ? length : 0] = '\0';
	BIO_free(memory);
}

/* Says what is wrong with a file, with OpenSSL's reason. */
static bool
wrong_file(char *wrong, size_t size, const char *setting, const char *path)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason =
		ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);

	snprintf(wrong, size, "%s: cannot use %s: %s", setting, path,
			 reason != NULL ? reason : "it has none");
	ERR_clear_error();
	return false;
}

/* A key with a password is refused: there is nobody to ask. */
static int
no_password(char *buffer, int size, int writing, void *argument)
{
	(void) buffer;
	(void) size;
	(void) writing;
	(void) argument;
	return 0;
}

/* Takes HTTP/1.1; a client that offers other protocols only is refused (RFC 7301). */
static int
choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
				const unsigned char *offered, unsigned offered_length, void *argument)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void) ssl;
	(void) argument;
	return SSL_select_next_proto((unsigned char **) chosen, chosen_length, ours, sizeof(ours) - 1,
								 offered, offered_length) == OPENSSL_NPN_NEGOTIATED
			   ? SSL_TLSEXT_ERR_OK
			   : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool
load_files(SSL_CTX *ctx, const Config *config, char *wrong, size_t size)
{
	STACK_OF(X509_NAME) * authorities;

	if (SSL_CTX_use_certificate_chain_file(ctx, config->tls_certificate) != 1)
		return wrong_file(wrong, size, "tls-certificate", config->tls_certificate);
	if (SSL_CTX_use_PrivateKey_file(ctx, config->tls_key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(ctx) != 1)
		return wrong_file(wrong, size, "tls-key", config->tls_key);
	if (config->tls_client_ca[0] == '\0')
		return true;
	authorities = SSL_load_client_CA_file(config->tls_client_ca);
	if (authorities == NULL || SSL_CTX_load_verify_locations(ctx, config->tls_client_ca, NULL) != 1)
	{
		sk_X509_NAME_pop_free(authorities, X509_NAME_free);
		return wrong_file(wrong, size, "tls-client-ca", config->tls_client_ca);
	}
	SSL_CTX_set_client_CA_list(ctx, authorities);
	SSL_CTX_set_verify(ctx,
					   SSL_VERIFY_PEER |
						   (config->tokens_file[0] != '\0' ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
					   NULL);
	return true;
}

/* Returns NULL and says why if a file is wrong. */
static SSL_CTX *
load(const Config *config, char *wrong, size_t size)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	ERR_clear_error();
	if (ctx == NULL || window_method == NULL)
	{
		snprintf(wrong, size, "tls-certificate: OpenSSL cannot be used");
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
								 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	/* For TLS 1.2; those of 1.3 are all good. */
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1); /* a record's head and body come in one read of the window */
	SSL_CTX_set_max_cert_list(ctx, CERTIFICATE_BYTES);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *) "historiand", 10);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	if (!load_files(ctx, config, wrong, size))
	{
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/*
 * Connections
 */

Tls *
tls_new(TlsContext *context)
{
	Tls *tls = memory_new(sizeof(Tls));
	size_t before = allocated;
	BIO *bio = BIO_new(window_method);

	pthread_mutex_lock(&context->lock);
	tls->ssl = SSL_new(context->current);
	pthread_mutex_unlock(&context->lock);
	if (tls->ssl == NULL || bio == NULL)
	{
		SSL_free(tls->ssl);
		BIO_free(bio);
		free(tls);
		return NULL;
	}
	BIO_set_data(bio, tls);
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_accept_state(tls->ssl);
	count_memory(tls, before);
	return tls;
}

void
tls_free(Tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	free(tls);
}

bool
tls_established(const Tls *tls)
{
	return tls->established;
}

const char *
tls_why(const Tls *tls)
{
	return tls->why != NULL ? tls->why : "";
}

/* Does a client begin with a method of HTTP?  A record of TLS that begins a handshake has 22. */
static bool
begins_http(const Tls *tls, const char *data, size_t length)
{
	return tls->handshake_bytes == 0 && length > 0 && data[0] >= 'A' && data[0] <= 'Z';
}

/*
 * SSL_get_error() looks at the queue of errors, which must be empty before.  It is as a rule, and to
 * see that costs less than to clear its sixteen places.
 */
static void
forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

TlsInput
tls_open(Tls *tls, const char *data, size_t length, char *plain, size_t *plain_length,
		 Bytes *sealed)
{
	size_t before = allocated;
	TlsInput input;

	*plain_length = 0;
	if (!tls->established)
	{
		if (begins_http(tls, data, length))
			return TLS_ABSENT;
		tls->handshake_bytes += length;
	}
	tls->received = data;
	tls->received_bytes = length;
	tls->sealed = sealed;
	forget_errors();
	input = open_records(tls, plain, length + TLS_RECORD_BYTES, plain_length);
	tls->sealed = NULL;
	tls->received_bytes = 0;
	count_memory(tls, before);
	if (input == TLS_OPEN && !tls->established && tls->handshake_bytes > HANDSHAKE_BYTES)
		return broken(tls, "the handshake is too long");
	if (input != TLS_BROKEN && sealed->length > CONTROL_BYTES)
		return broken(tls, "the client asks for too many answers of the protocol");
	return input;
}

static TlsInput
broken(Tls *tls, const char *why)
{
	unsigned long error = ERR_peek_error();
	long verified = SSL_get_verify_result(tls->ssl);

	if (why == NULL && !tls->established && verified != X509_V_OK)
	{
		snprintf(tls->why_text, sizeof(tls->why_text), "the client's certificate: %s",
				 X509_verify_cert_error_string(verified));
		why = tls->why_text;
	}
	if (why == NULL)
		why = ERR_reason_error_string(error);
	tls->why = why != NULL ? why : "the connection broke";
	ERR_clear_error();
	return TLS_BROKEN;
}

/*
 * The common name of a verified certificate, or NULL if it has none that can be a name: one with a
 * NUL in it could be taken for another.
 */
static char *
common_name(X509 *certificate)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	char *name = NULL;
	int length;

	if (place < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, place) >= 0)
		return NULL;
	length =
		ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
	if (length > 0 && length < SUBJECT_BYTES)
	{
		name = memory_new((size_t) length + 1);
		memcpy(name, text, (size_t) length);
		for (int i = 0; i < length; i++)
		{
			if (text[i] >= ' ' && text[i] != 0x7f)
				continue;
			free(name);
			name = NULL;
			break;
		}
	}
	OPENSSL_free(text);
	return name;
}

char *
tls_take_subject(Tls *tls)
{
	X509 *certificate;

	if (!tls->established || tls->named)
		return NULL;
	tls->named = true;
	certificate = SSL_get0_peer_certificate(tls->ssl);
	if (certificate == NULL || SSL_get_verify_result(tls->ssl) != X509_V_OK)
		return NULL;
	return common_name(certificate);
}

/* After the handshake: a certificate must say whom it is of. */
static bool
nameless(const Tls *tls)
{
	X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
	char *name = certificate == NULL ? NULL : common_name(certificate);
	bool is = certificate != NULL && name == NULL;

	free(name);
	return is;
}

/* Opens all records that were received; the rest of the last one stays in OpenSSL's buffer. */
static TlsInput
open_records(Tls *tls, char *plain, size_t room, size_t *plain_length)
{
	do
	{
		size_t count = 0;
		int done;

		if (*plain_length == room)
			return broken(tls, "a record is longer than it may be");
		done = SSL_read_ex(tls->ssl, plain + *plain_length, room - *plain_length, &count);
		if (!tls->established && SSL_is_init_finished(tls->ssl))
		{
			tls->established = true;
			if (nameless(tls))
				return broken(tls, "the client's certificate does not have one common name of at "
								   "most 63 bytes");
		}
		*plain_length += count;
		if (done == 1)
			continue;
		switch (SSL_get_error(tls->ssl, done))
		{
			case SSL_ERROR_WANT_READ:
				return TLS_OPEN;
			case SSL_ERROR_ZERO_RETURN:
				return TLS_ENDED;
			default:
				return broken(tls, NULL);
		}
	} while (tls->received_bytes > 0 || SSL_has_pending(tls->ssl));
	return TLS_OPEN;
}

bool
tls_seal(Tls *tls, const char *data, size_t length, Bytes *sealed)
{
	size_t before = allocated;
	size_t written = 0;
	bool done;

	if (!tls->established)
		return false;
	tls->sealed = sealed;
	forget_errors();
	done = SSL_write_ex(tls->ssl, data, length, &written) == 1 && written == length;
	tls->sealed = NULL;
	count_memory(tls, before);
	return done;
}

void
tls_end(Tls *tls, Bytes *sealed)
{
	if (!tls->established || (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN) != 0)
		return;
	tls->sealed = sealed;
	ERR_clear_error();
	SSL_shutdown(tls->ssl);
	ERR_clear_error();
	tls->sealed = NULL;
}
