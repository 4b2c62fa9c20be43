/*
 * pg_connection.c
 *	  A libpq connection on a libuv loop.
 *
 * Ownership: the object is freed in the close callback of its last handle, or, while it is still
 * connecting, when the worker is done.
 *
 * libpq closes its socket where a connection is lost, and another thread's next socket gets the same
 * descriptor.  libuv must not watch a closed or foreign one, so that it watches a duplicate, which is
 * closed with the object.
 */
#include "database/pg_connection.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct PgConnection
{
	uv_work_t work;
	uv_poll_t poll;
	uv_timer_t gone; /* runs when libpq has closed the socket and the owner must be told */
	uv_loop_t *loop;
	char *conninfo;
	const char *session_attrs; /* a constant */
	char *password_file;	   /* "": none */
	const PgHandler *handler;
	void *owner; /* NULL once closed */
	PGconn *pq;
	int watched;   /* the duplicate of the socket, or -1 */
	char *failure; /* of the worker */
	bool connecting;
	bool want_write;
	bool paused;
	bool not_replicated; /* a commit has given up waiting for its standby */
};

static void connect_in_worker(uv_work_t *work);
static void on_notice(void *argument, const char *message);
static void on_notice_of_loop(void *argument, const PGresult *notice);
static void on_worker_done(uv_work_t *work, int status);
static void on_socket(uv_poll_t *poll, int status, int events);
static void free_connection(PgConnection *connection);
static void lose(PgConnection *connection);

PgConnection *
pg_connection_open(uv_loop_t *loop, const char *conninfo, const char *session_attrs,
				   const char *password_file, const PgHandler *handler, void *owner)
{
	PgConnection *connection = memory_new(sizeof(PgConnection));

	connection->loop = loop;
	connection->conninfo = memory_strdup(conninfo);
	connection->session_attrs = session_attrs;
	connection->password_file = memory_strdup(password_file);
	connection->handler = handler;
	connection->owner = owner;
	connection->connecting = true;
	connection->watched = -1;
	connection->work.data = connection;
	uv_queue_work(loop, &connection->work, connect_in_worker, on_worker_done);
	return connection;
}

PGconn *
pg_connection_pq(PgConnection *connection)
{
	return connection->pq;
}

/*
 * Reads the password, without the line end that editors leave.  Every connection reads it, so that
 * a new password needs no restart.
 */
static bool
read_password(const char *path, char *password, size_t size, char **failure_text)
{
	FILE *file = fopen(path, "r");
	Bytes failure = {0};

	if (file != NULL && fgets(password, (int) size, file) != NULL)
	{
		password[strcspn(password, "\r\n")] = '\0';
		fclose(file);
		return true;
	}
	bytes_printf(&failure, "cannot read the password from %s: %s", path,
				 file == NULL ? strerror(errno) : "it is empty");
	*failure_text = bytes_take_text(&failure);
	if (file != NULL)
		fclose(file);
	return false;
}

const char *
pg_connection_cure(const char *reason)
{
	/* libpq's texts are not translated, because the program sets no locale */
	static const struct
	{
		const char *part;
		const char *cure;
	} cures[] = {
		{"certificate verify failed",
		 "sslrootcert must name a file with the authority that signed PostgreSQL's certificate, "
		 "which must be valid today"},
		{"does not match host name", "host must be a name for which PostgreSQL's certificate is; "
									 "hostaddr may have the address"},
		{"server does not support SSL",
		 "PostgreSQL needs ssl = on, ssl_cert_file and ssl_key_file"},
	};

	for (size_t i = 0; i < sizeof(cures) / sizeof(cures[0]); i++)
	{
		if (strstr(reason, cures[i].part) != NULL)
			return cures[i].cure;
	}
	return NULL;
}

/* What libpq says of a connection that was not made, and what cures it. */
static char *
describe_failure(const PGconn *pq)
{
	const char *reason = PQerrorMessage(pq);
	const char *cure = pg_connection_cure(reason);
	size_t length = strlen(reason);
	Bytes failure = {0};

	while (cure != NULL && length > 0 && reason[length - 1] == '\n')
		length--;
	bytes_append(&failure, reason, length);
	if (cure != NULL)
		bytes_printf(&failure, "; %s", cure);
	return bytes_take_text(&failure);
}

PGconn *
pg_connect_now(const char *conninfo, const char *session_attrs, const char *password_file,
			   char **failure)
{
	char password[1024] = "";
	PGconn *pq;

	/*
	 * The connection string (dbname) overrides the keywords before it.  The keyword after it
	 * overrides the string, because bytes are always sent and expected as UTF-8.  Empty ones are as
	 * if they were not there.
	 */
	static const char *const keywords[] = {
		"connect_timeout",
		"keepalives_idle",
		"keepalives_interval",
		"keepalives_count",
		"tcp_user_timeout",
		"fallback_application_name",
		"password",
		"dbname",
		"client_encoding",
		"target_session_attrs",
		NULL,
	};
	const char *const values[] = {
		"3", "10", "5", "3", "15000", "historiand", password, conninfo, "UTF8", session_attrs, NULL,
	};

	if (password_file[0] != '\0' &&
		!read_password(password_file, password, sizeof(password), failure))
		return NULL;
	pq = PQconnectdbParams(keywords, values, 1);
	explicit_bzero(password, sizeof(password));
	PQsetNoticeProcessor(pq, on_notice, NULL);
	if (PQstatus(pq) == CONNECTION_OK)
		return pq;
	*failure = describe_failure(pq);
	PQfinish(pq);
	return NULL;
}

static void
connect_in_worker(uv_work_t *work)
{
	PgConnection *connection = work->data;
	PGconn *pq = pg_connect_now(connection->conninfo, connection->session_attrs,
								connection->password_file, &connection->failure);

	if (pq == NULL)
		return;
	connection->watched = fcntl(PQsocket(pq), F_DUPFD_CLOEXEC, 0);
	if (connection->watched < 0)
	{
		connection->failure = memory_strdup(strerror(errno));
		PQfinish(pq);
		return;
	}
	PQsetnonblocking(pq, 1);
	PQsetNoticeReceiver(pq, on_notice_of_loop, connection);
	connection->pq = pq;
}

/* Logs PostgreSQL's warnings, which libpq itself would print between the lines of the log. */
static void
on_notice(void *argument, const char *message)
{
	(void) argument;
	log_info("PostgreSQL says: %s", message);
}

/*
 * Notes the warning that a commit does not wait for its standby any more.  It has no SQLSTATE of its
 * own, and its text is translated, so that it is known by the function of PostgreSQL that sends it.
 */
static void
on_notice_of_loop(void *argument, const PGresult *notice)
{
	PgConnection *connection = argument;
	const char *function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);

	if (function != NULL && strcmp(function, "SyncRepWaitForLSN") == 0)
		connection->not_replicated = true;
	on_notice(NULL, PQresultErrorMessage(notice));
}

bool
pg_connection_take_not_replicated(PgConnection *connection)
{
	bool not_replicated = connection->not_replicated;

	connection->not_replicated = false;
	return not_replicated;
}

/* Begins to watch the socket and tells the owner, or frees the connection if it was not made. */
static void
on_worker_done(uv_work_t *work, int status)
{
	PgConnection *connection = work->data;

	connection->connecting = false;
	if (connection->owner == NULL || connection->pq == NULL)
	{
		void *owner = connection->owner;

		if (owner != NULL)
			connection->handler->on_lost(owner, status < 0			  ? uv_strerror(status)
												: connection->failure ? connection->failure
																	  : "not connected");
		free_connection(connection);
		return;
	}
	uv_poll_init(connection->loop, &connection->poll, connection->watched);
	connection->poll.data = connection;
	uv_poll_start(&connection->poll, UV_READABLE, on_socket);
	uv_timer_init(connection->loop, &connection->gone);
	connection->gone.data = connection;
	connection->handler->on_open(connection->owner);
}

static void
free_connection(PgConnection *connection)
{
	PQfinish(connection->pq);
	if (connection->watched >= 0)
		close(connection->watched);
	free(connection->conninfo);
	free(connection->password_file);
	free(connection->failure);
	free(connection);
}

static void
on_closed(uv_handle_t *handle)
{
	free_connection(handle->data);
}

static void
on_poll_closed(uv_handle_t *handle)
{
	PgConnection *connection = handle->data;

	uv_close((uv_handle_t *) &connection->gone, on_closed);
}

void
pg_connection_close(PgConnection *connection)
{
	connection->owner = NULL;
	if (connection->connecting)
	{
		/* on_worker_done() frees it.  Those that nobody wants any more should keep no other work waiting. */
		uv_cancel((uv_req_t *) &connection->work);
		return;
	}
	uv_poll_stop(&connection->poll);
	uv_timer_stop(&connection->gone);
	uv_close((uv_handle_t *) &connection->poll, on_poll_closed);
}

static void
lose(PgConnection *connection)
{
	void *owner = connection->owner;
	char *reason = memory_strdup(PQerrorMessage(connection->pq));

	pg_connection_close(connection);
	connection->handler->on_lost(owner, reason);
	free(reason);
}

/* Reads and sends what the socket has and takes, then tells the owner. */
static void
on_socket(uv_poll_t *poll, int status, int events)
{
	PgConnection *connection = poll->data;
	bool all;

	if (status < 0 || ((events & UV_READABLE) && !PQconsumeInput(connection->pq)))
	{
		/* An error that the server sent before it hung up explains more than the hang-up. */
		PGresult *result;

		while (!PQisBusy(connection->pq) && (result = PQgetResult(connection->pq)) != NULL)
		{
			ExecStatusType kind = PQresultStatus(result);

			PQclear(result);
			if (kind == PGRES_COPY_IN || kind == PGRES_COPY_OUT)
				break;
		}
		lose(connection);
		return;
	}
	if (!pg_connection_flush(connection, &all) || PQstatus(connection->pq) != CONNECTION_OK)
	{
		lose(connection);
		return;
	}
	connection->handler->on_input(connection->owner);
	if (connection->owner != NULL && PQsocket(connection->pq) < 0)
		lose(connection);
}

static void
on_gone(uv_timer_t *timer)
{
	lose(timer->data);
}

/* Sets what the socket is watched for, or has the owner told if libpq has closed it. */
static void
watch(PgConnection *connection, bool write, bool paused)
{
	int events = (paused ? 0 : UV_READABLE) | (write ? UV_WRITABLE : 0);

	/* libpq reads when it cannot write, and closes the socket when it reads its end. */
	if (connection->owner == NULL)
		return;
	if (PQsocket(connection->pq) < 0)
	{
		uv_poll_stop(&connection->poll);
		uv_timer_start(&connection->gone, on_gone, 0, 0);
		return;
	}
	if (write == connection->want_write && paused == connection->paused)
		return;
	connection->want_write = write;
	connection->paused = paused;
	if (events != 0)
		uv_poll_start(&connection->poll, events, on_socket);
	else
		uv_poll_stop(&connection->poll);
}

bool
pg_connection_flush(PgConnection *connection, bool *all)
{
	int left = PQflush(connection->pq);

	*all = left == 0;
	/* After a failure too: a broken socket reports itself as writable. */
	watch(connection, left != 0, connection->paused);
	return left >= 0;
}

void
pg_connection_again(PgConnection *connection)
{
	watch(connection, true, connection->paused);
}

void
pg_connection_pause(PgConnection *connection, bool pause)
{
	watch(connection, connection->want_write, pause);
}

uint64_t
pg_read_position(const PGresult *result)
{
	unsigned high;
	unsigned low;

	if (PQntuples(result) != 1 || PQnfields(result) != 1 ||
		sscanf(PQgetvalue(result, 0, 0), "%X/%X", &high, &low) != 2)
		return 0;
	return (uint64_t) high << 32 | low;
}

void
pg_put_literal(Bytes *sql, const char *text)
{
	bytes_puts(sql, "E'");
	for (; *text != '\0'; text++)
	{
		if (*text == '\'' || *text == '\\')
			bytes_append(sql, text, 1);
		bytes_append(sql, text, 1);
	}
	bytes_puts(sql, "'");
}
