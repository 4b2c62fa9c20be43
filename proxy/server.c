/*
 * server.c
 *	  The whole server: its loops, and how it starts and stops.
 *
 * Every HTTP loop has a thread and a listener of its own on the same port (listener.c), so that the
 * kernel spreads connections over the threads, and no loop hands one to another.  The main thread
 * has a loop for the writer alone: PostgreSQL takes rows in small pieces, and should not wait for
 * the next one until a turn's requests are parsed.
 *
 * On SIGTERM and similar signals (signals.h) the server stops.  Listeners close and /readyz fails,
 * requests under way are answered, and buffered messages are loaded.  After GRACE_MS, connections
 * that are still busy are closed.  Messages that are not loaded after SPOOL_MS are put into the
 * spool; without a spool, those that are not loaded after GIVE_UP_MS are lost.
 */
#include "server.h"

#include "http/http_loop.h"
#include "http/listener.h"
#include "load/copy_writer.h"
#include "load/name_teller.h"
#include "loop.h"
#include "base/block_pool.h"
#include "base/host.h"
#include "base/log.h"
#include "base/memory.h"
#include "routes/intake.h"
#include "routes/route_stream.h"
#include "routes/routes.h"
#include "service_notify.h"
#include "signals.h"
#include "watch/watchdog.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS		  250
#define DRAIN_TICK_MS 20
#define GRACE_MS	  5000
#define SPOOL_MS	  6000 /* shorter, because messages in the spool are safe */
#define GIVE_UP_MS	  8500

/*
 * Descriptors besides connections: of files, the writer and its loop; of a watchdog that tells of
 * silent tags; and of each HTTP loop.
 */
#define OTHER_DESCRIPTORS (18 + HTTP_REFUSED_CONNECTIONS)
#define WATCH_DESCRIPTORS 16
#define LOOP_DESCRIPTORS  12

/*
 * Memory is given back to the system when the peak of an interval of TRIM_TICKS is lower by TRIM_BYTES than
 * an earlier one.  Each second the memory in use falls by a batch and rises again.  What is given back in
 * between must be taken again, page by page.
 */
#define TRIM_BYTES ((size_t) 16 << 20)
#define TRIM_TICKS 20

/* Threads of libuv for the writer's connection, reading and writing the spool, compression, and the watchdog. */
#define OTHER_THREADS 9

typedef struct Server Server;

/* A loop with a thread of its own. */
typedef struct ServerLoop
{
	Loop loop; /* the part that routes use */
	Server *server;
	pthread_t thread;
	uv_loop_t uv;
	uv_async_t wake;
	uv_timer_t tick;
	struct ServerListener *listeners; /* of each address */
	bool listening;
	uint32_t places_answers; /* field_places_answers() when requests were last told */
	TurnTask tell_waiters;
} ServerLoop;

/* A loop's listener at one address. */
typedef struct ServerListener
{
	uv_tcp_t tcp; /* or a socket in the file system, with which libuv does the same */
	ServerLoop *loop;
	const ListenAddress *at;
	TurnTask accept; /* takes a connection that it has ready */
} ServerListener;

/* The part of the server that the loops' threads and the main thread share. */
struct Server
{
	LoopShared shared;
	CommitBoard *board;
	TlsContext *tls; /* NULL: connections are plain */
	Budget memory;	 /* for messages, and for requests and answers under way */
	ListenAddress listens[CONFIG_MAX_LISTENS]; /* with the ports that were chosen */
	Budget states;							   /* of connections */
	Budget results;		/* for results of PostgreSQL, and long answers made of them */
	CopyWriter *writer; /* belongs to the main thread */
	Metrics writer_metrics;
	ServerLoop *loops;
	int loop_count;
	atomic_int open_listeners;
	atomic_bool stopping; /* GRACE_MS are over: requests are answered now, and connections closed */
};

/* The part that only the main thread uses. */
typedef struct Main
{
	Server server;
	uv_loop_t uv;
	uv_timer_t tick;
	size_t most_used;	  /* the peak since memory was given back, before the present interval */
	size_t recently_used; /* the peak of the present interval */
	int ticks;			  /* of the present interval, which has TRIM_TICKS of them */
	bool trimming;
	uv_work_t trim;
	atomic_int open_connections;
	uv_async_t writer_wake;
	Config *config;
	SignalHandler signals;
	uv_timer_t drain_timer;
	uint64_t drain_start_ms;
	int exit_code;
} Main;

static void init_server(Main *main, Config *config);
static bool read_tokens(Server *server);
static bool read_certificate(Server *server);
static void log_addresses(const Server *server);
static bool open_listeners(Server *server);
static bool open_listener(Server *server, int number);
static bool start_threads(Server *server);
static void size_thread_pool(const Config *config);
static bool init_loop(Main *main, ServerLoop *loop);
static void *run_loop(void *argument);
static void wake_all(void *argument);
static void wake_loop(void *argument);
static void wake_writer(void *argument);
static void on_wake(uv_async_t *async);
static void on_writer_wake(uv_async_t *async);
static void on_tick(uv_timer_t *timer);
static bool held_up(void *argument, uint64_t *behind_ms);
static void on_places_known(void *argument);
static void on_main_tick(uv_timer_t *timer);
static void give_back_memory(Main *main);
static void trim_in_worker(uv_work_t *work);
static void on_trimmed(uv_work_t *work, int status);
static void on_connection(uv_stream_t *listener, int status);
static void accept_now(TurnTask *task);
static void tell_waiters(TurnTask *task);
static void on_stop(void *argument, const char *name);
static void on_reload(void *argument);
static void on_drain(uv_timer_t *timer);
static void stop(Main *main);

bool
server_fit_descriptors(Config *config)
{
	/* a connection to PostgreSQL takes two (pg_connection.c), and there are two pools for reads */
	uint64_t others = OTHER_DESCRIPTORS +
					  (LOOP_DESCRIPTORS + (uint64_t) config->listen_count - 1) * config->threads +
					  4 * config->max_queries;
	uint64_t wanted;
	struct rlimit limit;

	if (config->stale_webhook[0] != '\0' || config->stale_command[0] != '\0' ||
		config->stale_notify[0] != '\0')
		others += WATCH_DESCRIPTORS;
	wanted = others + config->max_connections;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return true;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return true;
	if (limit.rlim_cur <= others)
	{
		log_error("%llu file descriptors are allowed (ulimit -n), at least %llu are needed",
				  (unsigned long long) limit.rlim_cur, (unsigned long long) others + 1);
		return false;
	}
	log_warning("--max-connections %llu is lowered to %llu: %llu file descriptors are allowed "
				"(ulimit -n)",
				(unsigned long long) config->max_connections,
				(unsigned long long) (limit.rlim_cur - others),
				(unsigned long long) limit.rlim_cur);
	config->max_connections = limit.rlim_cur - others;
	return true;
}

int
server_run(Config *config)
{
	static Main main; /* too large for the stack */
	Server *server = &main.server;

	signals_ignore();
	size_thread_pool(config);
	init_server(&main, config);
	if (!read_tokens(server) || !read_certificate(server))
		return 2;
	for (int i = 0; i < server->loop_count; i++)
	{
		if (!init_loop(&main, &server->loops[i]))
			return 1;
	}
	if (!open_listeners(server))
		return 1;

	uv_loop_t *uv = &main.uv;

	if (uv_loop_init(uv) != 0)
	{
		log_error("cannot start an event loop");
		return 1;
	}
	uv_timer_init(uv, &main.tick);
	main.tick.data = &main;
	uv_timer_start(&main.tick, on_main_tick, TICK_MS, TICK_MS);
	uv_async_init(uv, &main.writer_wake, on_writer_wake);
	main.writer_wake.data = &main;
	server->writer = copy_writer_new(uv, config, server->shared.ingest, server->board,
									 &server->writer_metrics, wake_all, server);
	if (server->writer == NULL)
		return 1;
	server->shared.database_metrics =
		database_metrics_new(&server->loops[0].uv, config, server->loops[0].loop.pool);
	server->shared.table_check = table_check_new(uv, config, server->shared.field_places);
	server->shared.watchdog = watchdog_new(&server->loops[0].uv, &server->loops[0].loop.http.turns,
										   config, &server->results, held_up, server);
	if (server->shared.watchdog == NULL)
		return 1;
	uv_timer_init(uv, &main.drain_timer);
	main.drain_timer.data = &main;
	main.signals = (SignalHandler){on_stop, on_reload, &main};
	signals_watch(uv, &main.signals);

	if (!start_threads(server))
		return 1;
	log_addresses(server);
	service_notify("READY=1");
	/* This changes only this thread, which loads, because the others have started. */
	if (setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + (int) config->load_nice) != 0)
		log_warning("--load-nice: %s", strerror(errno));
	uv_run(uv, UV_RUN_DEFAULT);
	return main.exit_code;
}

/* Makes what all loops share, before there are any. */
static void
init_server(Main *main, Config *config)
{
	Server *server = &main->server;

	main->config = config;
	server->shared.config = config;
	server->loop_count = (int) config->threads;
	server->loops = memory_new(sizeof(ServerLoop) * config->threads);
	server->memory.limit = config->max_buffered_bytes;
	block_pool_init(config->max_buffered_bytes / 4);
	server->shared.ingest = ingest_new(&server->memory, wake_writer, main);
	server->board = commit_board_new();
	pthread_mutex_init(&server->shared.writer.trouble_lock, NULL);
	strcpy(server->shared.writer.trouble, "not connected yet");
	atomic_store(&server->shared.writer.starting, true);
	server->shared.field_places = field_places_new();
	server->shared.points = point_merge_new(server->shared.field_places);
	server->states.limit = SIZE_MAX;
	server->shared.results = &server->results;
	server->shared.states = &server->states;
	server->shared.quotas = quotas_new(2 * config->max_connections);
	server->results.limit = config->max_result_bytes;
	server->shared.metrics[server->shared.metrics_count++] = &server->writer_metrics;
}

/* Reads the file with tokens, if there is one. */
static bool
read_tokens(Server *server)
{
	const char *path = server->shared.config->tokens_file;
	char wrong[TOKENS_WRONG_BYTES];

	if (path[0] == '\0')
		return true;
	server->shared.tokens = tokens_new(path, wrong, sizeof(wrong));
	if (server->shared.tokens == NULL)
		log_error("%s", wrong);
	return server->shared.tokens != NULL;
}

/* Reads the server's certificate, if there is one. */
static bool
read_certificate(Server *server)
{
	char wrong[TLS_WRONG_BYTES];

	if (server->shared.config->tls_certificate[0] == '\0')
		return true;
	server->tls = tls_context_new(server->shared.config, wrong, sizeof(wrong));
	if (server->tls == NULL)
		log_error("%s", wrong);
	return server->tls != NULL;
}

/* Reads it again; connections that are open keep the old one. */
static void
reload_certificate(Server *server)
{
	char wrong[TLS_WRONG_BYTES];
	char end[64];

	if (!tls_context_reload(server->tls, wrong, sizeof(wrong)))
	{
		log_error("%s; the certificate stays as it is (SIGHUP)", wrong);
		return;
	}
	tls_context_put_end(server->tls, end, sizeof(end));
	log_info("the certificate was read again (SIGHUP); it ends %s", end);
}

/* Opens the listeners of all loops, at each address. */
static bool
open_listeners(Server *server)
{
	int count = server->shared.config->listen_count;

	for (int i = 0; i < server->loop_count; i++)
		server->loops[i].listeners = memory_new(sizeof(ServerListener) * (size_t) count);
	for (int number = 0; number < count; number++)
	{
		if (!open_listener(server, number))
			return false;
	}
	for (int i = 0; i < server->loop_count; i++)
	{
		server->loops[i].listening = true;
		atomic_fetch_add(&server->open_listeners, 1);
	}
	return true;
}

/* Opens them at one address, which becomes the one with the port that was chosen. */
static bool
open_listener(Server *server, int number)
{
	ListenAddress *at = &server->listens[number];
	int sockets[CONFIG_MAX_THREADS];

	*at = server->shared.config->listens[number];
	if (!listener_open(&at->address, sockets, server->loop_count))
	{
		log_error("cannot listen on %s: %s", at->text, strerror(errno));
		return false;
	}
	for (int i = 0; i < server->loop_count; i++)
	{
		ServerLoop *loop = &server->loops[i];
		ServerListener *listener = &loop->listeners[number];
		int error;

		listener->loop = loop;
		listener->at = at;
		listener->accept.run = accept_now;
		uv_tcp_init(&loop->uv, &listener->tcp);
		listener->tcp.data = listener;
		error = uv_tcp_open(&listener->tcp, sockets[i]);
		if (error == 0)
			error = uv_listen((uv_stream_t *) &listener->tcp, LISTENER_BACKLOG, on_connection);
		if (error != 0)
		{
			log_error("cannot listen on %s: %s", at->text, uv_strerror(error));
			return false;
		}
	}
	return true;
}

/* Says where the server listens, and whether everybody there may use it. */
static void
log_addresses(const Server *server)
{
	const Config *config = server->shared.config;

	for (int i = 0; i < config->listen_count; i++)
	{
		const ListenAddress *at = &server->listens[i];
		const struct sockaddr *address = (const struct sockaddr *) &at->address;
		const char *what = at->health ? ", health and metrics alone" : "";
		const char *scheme = server->tls != NULL && !at->health ? "https" : "http";
		char name[64];
		int port = ntohs(((const struct sockaddr_in *) address)->sin_port);

		if (address->sa_family == AF_UNIX)
		{
			log_info("listening on %s%s", at->text, what);
			continue;
		}
		uv_ip_name(address, name, sizeof(name));
		log_info(address->sa_family == AF_INET6 ? "listening on %s://[%s]:%d%s"
												: "listening on %s://%s:%d%s",
				 scheme, name, port, what);
		if (!at->health && config->tokens_file[0] == '\0' && config->tls_client_ca[0] == '\0' &&
			!host_loopback(&at->address))
			log_warning("everybody who reaches %s may read and write: there are neither tokens nor "
						"client certificates (--insecure)",
						at->text);
	}
}

static bool
start_threads(Server *server)
{
	for (int i = 0; i < server->loop_count; i++)
	{
		if (pthread_create(&server->loops[i].thread, NULL, run_loop, &server->loops[i]) != 0)
		{
			log_error("cannot start thread %d of --threads", i + 1);
			return false;
		}
	}
	return true;
}

/*
 * Sets the number of libuv's threads, which execute work that blocks.  Attempts to connect, which
 * may take seconds each, must not occupy all of them, because the spool and compression need some.
 * A number that the environment gives stays.
 */
static void
size_thread_pool(const Config *config)
{
	char size[24];

	snprintf(size, sizeof(size), "%" PRIu64,
			 OTHER_THREADS + config->threads * (2 * PG_POOL_CONNECTING + 2));
	setenv("UV_THREADPOOL_SIZE", size, 0);
}

/* Prepares a loop, with its share of the connections for reads, for its thread. */
static bool
init_loop(Main *main, ServerLoop *loop)
{
	const Config *config = main->server.shared.config;
	uint64_t number = (uint64_t) (loop - main->server.loops);
	uint64_t queries =
		config->max_queries / config->threads + (number < config->max_queries % config->threads);

	loop->server = &main->server;
	if (uv_loop_init(&loop->uv) != 0)
	{
		log_error("cannot start an event loop");
		return false;
	}
	uv_async_init(&loop->uv, &loop->wake, on_wake);
	uv_timer_init(&loop->uv, &loop->tick);
	loop->wake.data = loop;
	loop->tick.data = loop;
	uv_timer_start(&loop->tick, on_tick, TICK_MS, TICK_MS);
	loop->loop.pool =
		pg_pool_new(&loop->uv, &loop->loop.http.turns, config, PG_POOL_READS, queries,
					config->max_queued_queries / config->threads + 1, &main->server.results,
					&main->server.shared.sights[PG_POOL_READS]);
	loop->loop.primary =
		pg_pool_new(&loop->uv, &loop->loop.http.turns, config, PG_POOL_PRIMARY, queries,
					config->max_queued_queries / config->threads + 1, &main->server.results,
					&main->server.shared.sights[PG_POOL_PRIMARY]);
	loop->loop.reads = pg_reads_new(loop->loop.pool, loop->loop.primary, config);
	loop->loop.writes =
		pg_pool_new(&loop->uv, &loop->loop.http.turns, config, PG_POOL_WRITES, 1,
					config->max_queued_queries / config->threads + 1, &main->server.results, NULL);
	loop->loop.name_teller = name_teller_new(
		loop->loop.writes, config, main->server.shared.field_places, on_places_known, loop);
	loop->loop.edits = edits_new(&loop->uv, config, main->server.shared.ingest, &loop->loop.waiters,
								 main->server.shared.points,
								 config->max_queued_queries / config->threads + 1, wake_loop, loop);
	list_init(&loop->loop.placeless);
	loop->loop.http = (HttpLoop){
		.uv = &loop->uv,
		.config = config,
		.tokens = main->server.shared.tokens,
		.tls = main->server.tls,
		.metrics = &loop->loop.metrics,
		.find_route = routes_find,
		.put_paths = routes_put_paths,
		.open_connections = &main->open_connections,
		.quotas = main->server.shared.quotas,
		.draining = &main->server.shared.draining,
		.results = &main->server.results,
		.memory = &main->server.memory,
		.states = &main->server.states,
	};
	http_loop_init(&loop->loop.http);
	commit_queue_init(&loop->loop.waiters);
	loop->loop.shared = &main->server.shared;
	main->server.shared.metrics[main->server.shared.metrics_count++] = &loop->loop.metrics;
	loop->tell_waiters.run = tell_waiters;
	return true;
}

static void *
run_loop(void *argument)
{
	ServerLoop *loop = argument;

	uv_run(&loop->uv, UV_RUN_DEFAULT);
	return NULL;
}

static void
on_connection(uv_stream_t *listener, int status)
{
	ServerListener *own = listener->data;
	ServerLoop *loop = own->loop;

	if (status < 0)
		log_warning("cannot accept a connection: %s", uv_strerror(status));
	else if (turn_over(&loop->loop.http.turns))
		turn_queue_fresh(&loop->loop.http.turns,
						 &own->accept); /* libuv accepts no other until then */
	else
		http_loop_accept(&loop->loop.http, listener, own->at);
}

static void
accept_now(TurnTask *task)
{
	ServerListener *listener = LIST_ITEM(task, ServerListener, accept);
	ServerLoop *loop = listener->loop;

	if (loop->listening)
		http_loop_accept(&loop->loop.http, (uv_stream_t *) &listener->tcp, listener->at);
}

static void
tell_waiters(TurnTask *task)
{
	ServerLoop *loop = LIST_ITEM(task, ServerLoop, tell_waiters);

	if (commit_queue_check(&loop->loop.waiters, loop->server->board, uv_now(&loop->uv)))
		turn_queue(&loop->loop.http.turns, task);
}

static void
wake_all(void *argument)
{
	Server *server = argument;

	for (int i = 0; i < server->loop_count; i++)
		uv_async_send(&server->loops[i].wake);
}

static void
wake_loop(void *argument)
{
	ServerLoop *loop = argument;

	turn_queue_fresh(&loop->loop.http.turns, &loop->tell_waiters);
}

static void
wake_writer(void *argument)
{
	Main *main = argument;

	uv_async_send(&main->writer_wake);
}

static void
on_writer_wake(uv_async_t *async)
{
	Main *main = async->data;

	copy_writer_nudge(main->server.writer);
}

/* Runs in each loop after a batch was committed, and when the server stops. */
static void
on_wake(uv_async_t *async)
{
	ServerLoop *loop = async->data;
	Server *server = loop->server;

	if (atomic_load(&server->shared.draining) && loop->listening)
	{
		loop->listening = false;
		for (int i = 0; i < server->shared.config->listen_count; i++)
			uv_close((uv_handle_t *) &loop->listeners[i].tcp, NULL);
		atomic_fetch_sub(&server->open_listeners, 1);
		http_loop_drain(&loop->loop.http);
	}
	turn_queue_fresh(&loop->loop.http.turns, &loop->tell_waiters);
	route_stream_wake(&loop->loop);
	http_loop_resume(&loop->loop.http);
	if (atomic_load(&server->stopping))
	{
		while (commit_queue_check(&loop->loop.waiters, server->board, uv_now(&loop->uv)))
			;
		commit_queue_give_up(&loop->loop.waiters);
		http_loop_close(&loop->loop.http);
	}
}

static void
on_tick(uv_timer_t *timer)
{
	ServerLoop *loop = timer->data;
	Server *server = loop->server;

	http_loop_tick(&loop->loop.http);
	route_stream_tick(&loop->loop);
	pg_pool_tick(loop->loop.pool);
	pg_pool_tick(loop->loop.primary);
	pg_pool_tick(loop->loop.writes);
	edits_tick(loop->loop.edits);
	name_teller_tick(loop->loop.name_teller, uv_now(&loop->uv));
	/* Another loop may have asked for the same places. */
	if (loop->places_answers != field_places_answers(server->shared.field_places))
		on_places_known(loop);
	turn_queue_fresh(&loop->loop.http.turns, &loop->tell_waiters);
	if (loop == &server->loops[0])
	{
		watchdog_tick(server->shared.watchdog, uv_now(&loop->uv));
		service_notify_alive();
	}
}

/* For the watchdog: are messages held up that were accepted? */
static bool
held_up(void *argument, uint64_t *behind_ms)
{
	const Server *server = argument;
	const WriterState *writer = &server->shared.writer;

	*behind_ms = atomic_load(&writer->oldest_age_ms);
	return atomic_load(&server->shared.draining) || atomic_load(&writer->starting) ||
		   !atomic_load(&writer->connected) || atomic_load(&writer->spool_bytes) > 0;
}

/* Lets requests go on that waited for the places of fields. */
static void
on_places_known(void *argument)
{
	ServerLoop *loop = argument;

	loop->places_answers = field_places_answers(loop->server->shared.field_places);
	intake_append_placeless(&loop->loop);
	http_loop_resume(&loop->loop.http);
}

/* Renews the copy of the writer's state. */
static void
on_main_tick(uv_timer_t *timer)
{
	Server *server = &((Main *) timer->data)->server;

	pthread_mutex_lock(&server->shared.writer.trouble_lock);
	atomic_store(&server->shared.writer.connected,
				 !copy_writer_trouble(server->writer, server->shared.writer.trouble,
									  sizeof(server->shared.writer.trouble)));
	pthread_mutex_unlock(&server->shared.writer.trouble_lock);
	/* After connected: a server that has started without trouble is ready from then on. */
	atomic_store(&server->shared.writer.starting, copy_writer_starting(server->writer));
	copy_writer_tick(server->writer);
	atomic_store(&server->shared.writer.oldest_age_ms, copy_writer_oldest_age_ms(server->writer));
	atomic_store(&server->shared.writer.set_aside, copy_writer_set_aside(server->writer));
	atomic_store(&server->shared.writer.spool_bytes, copy_writer_spool_bytes(server->writer));
	give_back_memory(timer->data);
}

/* Gives memory back after a peak, which the pool of blocks and malloc() have kept. */
static void
give_back_memory(Main *main)
{
	const Server *server = &main->server;
	size_t used = budget_used(&server->memory) + budget_used(&server->results);

	if (used > main->recently_used)
		main->recently_used = used;
	if (++main->ticks < TRIM_TICKS || main->trimming)
		return;
	if (main->most_used >= main->recently_used + TRIM_BYTES)
	{
		main->most_used = main->recently_used;
		main->trimming = true;
		main->trim.data = main;
		uv_queue_work(&main->uv, &main->trim, trim_in_worker, on_trimmed);
	}
	else if (main->recently_used > main->most_used)
		main->most_used = main->recently_used;
	main->recently_used = used;
	main->ticks = 0;
}

static void
trim_in_worker(uv_work_t *work)
{
	(void) work;
	block_pool_give_back();
	malloc_trim(0);
}

static void
on_trimmed(uv_work_t *work, int status)
{
	(void) status;
	((Main *) work->data)->trimming = false;
}

static void
on_stop(void *argument, const char *name)
{
	Main *main = argument;

	if (atomic_load(&main->server.shared.draining))
	{
		log_info("%s: the server is stopping already", name);
		return;
	}
	log_info("stopping on %s: requests under way are answered, then messages are loaded", name);
	service_notify("STOPPING=1");
	atomic_store(&main->server.shared.draining, true);
	watchdog_stop(main->server.shared.watchdog);
	main->drain_start_ms = uv_now(&main->uv);
	wake_all(&main->server);
	copy_writer_drain(main->server.writer);
	uv_timer_start(&main->drain_timer, on_drain, 0, DRAIN_TICK_MS);
}

static void
on_reload(void *argument)
{
	Main *main = argument;

	/* If it fails, it has logged why, and the settings stay as they are. */
	if (config_reload(main->config))
	{
		log_set(main->config->log_level, main->config->log_format);
		log_info("the settings were read again (SIGHUP)");
	}
	/* The same holds for the tokens: they are read again whatever became of the settings. */
	if (main->server.shared.tokens != NULL)
		tokens_reload(main->server.shared.tokens);
	if (main->server.tls != NULL)
		reload_certificate(&main->server);
}

/* While the server stops: stops it when all is done, or when the time is up. */
static void
on_drain(uv_timer_t *timer)
{
	Main *main = timer->data;
	Server *server = &main->server;
	uint64_t passed_ms = uv_now(timer->loop) - main->drain_start_ms;
	/* Listeners come first: another loop may accept a connection until its listener is closed. */
	bool quiet =
		atomic_load(&server->open_listeners) == 0 && atomic_load(&main->open_connections) == 0;

	copy_writer_drain(server->writer);
	if (quiet && copy_writer_idle(server->writer) && watchdog_idle(server->shared.watchdog))
	{
		stop(main);
		return;
	}
	if (!quiet && passed_ms > GRACE_MS && !atomic_load(&server->stopping))
	{
		log_warning("closing %d connections that are still busy",
					atomic_load(&main->open_connections));
		atomic_store(&server->stopping, true);
		wake_all(server);
	}
	if (passed_ms > (copy_writer_has_spool(server->writer) ? SPOOL_MS : GIVE_UP_MS))
		stop(main);
}

/* Puts messages that are not loaded into the spool, and ends the main loop. */
static void
stop(Main *main)
{
	CopyWriter *writer = main->server.writer;
	uint64_t lost = copy_writer_save(writer);

	if (lost > 0)
		log_error("stopped; PostgreSQL did not take %llu buffered messages, which are lost",
				  (unsigned long long) lost);
	else if (copy_writer_spool_bytes(writer) > 0)
		log_info("stopped; %llu bytes are in the spool for the next start",
				 (unsigned long long) copy_writer_spool_bytes(writer));
	else
		log_info("stopped; everything is loaded");
	main->exit_code = lost > 0 ? 1 : 0;
	uv_stop(&main->uv);
}
