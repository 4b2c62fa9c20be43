/*
 * flood.c
 *	  historian-flood: posts a workload with as little work of its own as possible.
 *
 * historian-producer makes messages as it goes, checks and retries; it costs more than the server
 * that it measures.  This one writes all requests into memory first, then sends them again and
 * again, with only the digits of their times put in anew, so that no two messages are alike.
 * Answers are only counted, by comparing them with the last one.  One thread, one epoll.
 */
#define _GNU_SOURCE /* memmem() */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "http_client.h"
#include "latency.h"
#include "options.h"
#include "workload.h"

#define TIME_DIGITS	 19
#define ANSWER_BYTES 65536
#define MAX_DEPTH	 1024
#define DRAIN_NS	 INT64_C(60000000000)
#define HEAD_BYTES	 1024
#define MAX_VALUES	 10
#define NS			 INT64_C(1000000000)

enum
{
	FORMAT_JSON,
	FORMAT_NDJSON,
	FORMAT_LINE,
};

static const char *const formats[] = {"json", "ndjson", "line", NULL};

/* One request in the pool, head and body; its times stand in the bodies' messages. */
typedef struct Request
{
	size_t start;
	size_t end;
} Request;

typedef struct Connection
{
	int fd;
	bool wants_to_write;
	size_t send_from; /* of the pool, what is not sent yet; equal: nothing */
	size_t send_to;
	uint32_t outstanding;
	uint32_t first; /* of started, a ring */
	int64_t started[MAX_DEPTH];
	char answer[ANSWER_BYTES];
	size_t answer_bytes;
} Connection;

typedef struct Flood
{
	/* options */
	HttpServer server;
	const char *path;
	int format;
	uint32_t batch;
	uint32_t distinct; /* messages in the pool */
	uint32_t connections;
	uint32_t depth;
	uint64_t rate; /* messages a second, 0: as fast as answered */
	uint64_t messages;
	int64_t length_ns;
	int64_t start_ns; /* time of the first message */
	int64_t step_ns;  /* from each message to the next */
	bool time_is_now; /* each message's time is when it is due */
	char letter;	  /* that tags begin with; 0: as the workload calls them */
	WorkloadOptions workload;

	char *pool;
	size_t pool_bytes;
	Request *requests;
	uint32_t request_count;
	size_t *time_at; /* of each message */

	int epoll;
	Connection *connection;
	uint32_t next_request;
	uint64_t sent; /* messages; also the number of the next one */
	uint64_t answered;
	uint64_t accepted;
	uint64_t requests_refused;
	int first_refusal;
	int64_t began_ns;
	int64_t last_accepted_ns;
	Latency latency;

	/* What the last answer looked like: the next ones mostly are the same. */
	char like[HEAD_BYTES];
	size_t like_bytes;
	int like_status;
} Flood;

static const char usage[] =
	"historian-flood: posts a workload of requests made beforehand, and counts the answers\n"
	"\n"
	"  --url URL         http://127.0.0.1:8080\n"
	"  --path PATH       /save\n"
	"  --format FORMAT   json (one message a POST), ndjson, line (InfluxDB's protocol) (json)\n"
	"  --batch N         messages a POST (1)\n"
	"  --distinct N      messages made beforehand; later ones differ in time only (200000)\n"
	"  --connections N   (16)\n"
	"  --depth N         requests in flight on a connection, at most 1024 (1)\n"
	"  --rate N          messages a second; 0: as fast as they are answered (0)\n"
	"  --messages N      at most so many, a multiple of the batch\n"
	"  --duration TIME   at most so long (10s)\n"
	"  --start TIME      time of the first message, 100 us between two, a second between two of a\n"
	"                    plant's tag; \"due\": each is dated when it is due to be sent, which "
	"needs\n"
	"                    a rate (ns since 1970, now, -24h)\n"
	"  --workload KIND   skewed, or plant (skewed)\n"
	"  --tags N          tags of a plant, which come in turn (100000)\n"
	"  --letter C        that tags begin with\n";

static void
die(const char *what)
{
	fprintf(stderr, "historian-flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *
allocate(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (memory == NULL)
		die("memory");
	return memory;
}

/*
 * The pool
 */

static size_t
line_message(const Workload *workload, char letter, uint32_t tag, const int64_t *values,
			 uint32_t count, char *out)
{
	char name[WORKLOAD_TAG_BYTES];
	size_t n;

	workload_tag_name(workload, tag, name);
	if (letter != 0)
		name[0] = letter;
	n = (size_t) sprintf(out, "measurement,tag=%s ", name);
	for (uint32_t i = 0; i < count; i++)
	{
		uint64_t size = (uint64_t) (values[i] < 0 ? -values[i] : values[i]);

		n += (size_t) sprintf(out + n, "%sv%u=%s%" PRIu64 ".%02" PRIu64, i > 0 ? "," : "", i,
							  values[i] < 0 ? "-" : "", size / 100, size % 100);
	}
	return n + (size_t) sprintf(out + n, " %019d", 0);
}

static void
make_pool(Flood *flood)
{
	static const char *const types[] = {"application/json", "application/x-ndjson", "text/plain"};
	const WorkloadOptions options = flood->workload;
	Workload *workload = workload_open(&options);
	uint32_t distinct = flood->distinct / flood->batch * flood->batch;
	size_t most = workload_max_json_bytes(workload) * 2 + 64;
	int64_t(*values)[MAX_VALUES] = allocate(options.tags * sizeof(*values));
	uint64_t *counts = allocate(options.tags * sizeof(*counts));
	char *body = allocate(most * flood->batch);
	size_t capacity = 0;

	flood->request_count = distinct / flood->batch;
	flood->requests = allocate(flood->request_count * sizeof(Request));
	flood->time_at = allocate(distinct * sizeof(size_t));
	for (uint32_t r = 0; r < flood->request_count; r++)
	{
		size_t bytes = 0;
		size_t head;

		for (uint32_t i = 0; i < flood->batch; i++)
		{
			uint32_t message = r * flood->batch + i;
			uint32_t tag = workload_tag(workload, message);
			char *text = body + bytes;

			workload_step(workload, tag, counts[tag]++, values[tag]);
			if (flood->format == FORMAT_LINE)
			{
				bytes +=
					line_message(workload, flood->letter, tag, values[tag], options.values, text);
				flood->time_at[message] = bytes - TIME_DIGITS;
			}
			else
			{
				size_t length = workload_json(workload, options.start_ns, tag, values[tag], text);
				const char *digits = memmem(text, length, "1000000000000000000", TIME_DIGITS);

				if (flood->letter != 0)
					((char *) memmem(text, length, "\"tag\":\"", 7))[7] = flood->letter;
				flood->time_at[message] = bytes + (size_t) (digits - text);
				bytes += length;
			}
			if (flood->format != FORMAT_JSON)
				body[bytes++] = '\n';
		}
		if (flood->pool_bytes + HEAD_BYTES + bytes > capacity)
		{
			capacity = capacity * 2 + HEAD_BYTES + bytes;
			flood->pool = realloc(flood->pool, capacity);
			if (flood->pool == NULL)
				die("memory");
		}
		flood->requests[r].start = flood->pool_bytes;
		head = (size_t) snprintf(flood->pool + flood->pool_bytes, HEAD_BYTES,
								 "POST %s%s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: %s\r\n"
								 "Content-Length: %zu\r\n\r\n",
								 flood->server.url.prefix, flood->path, flood->server.url.authority,
								 flood->server.headers, types[flood->format], bytes);
		if (head >= HEAD_BYTES)
		{
			fprintf(stderr, "historian-flood: the path is too long\n");
			exit(2);
		}
		for (uint32_t i = 0; i < flood->batch; i++)
			flood->time_at[r * flood->batch + i] += flood->pool_bytes + head;
		memcpy(flood->pool + flood->pool_bytes + head, body, bytes);
		flood->pool_bytes += head + bytes;
		flood->requests[r].end = flood->pool_bytes;
	}
	free(body);
	free(values);
	free(counts);
	workload_close(workload);
}

static void
put_time(char *out, int64_t time_ns)
{
	for (int i = TIME_DIGITS - 1; i >= 0; i--)
	{
		out[i] = (char) ('0' + time_ns % 10);
		time_ns /= 10;
	}
}

/* Dates the messages of the request that is sent next. */
static void
date_request(Flood *flood, uint32_t request)
{
	int64_t first = flood->start_ns;
	int64_t step = flood->step_ns;

	if (flood->time_is_now)
	{
		first = flood->began_ns;
		step = NS / (int64_t) flood->rate;
	}
	for (uint32_t i = 0; i < flood->batch; i++)
		put_time(flood->pool + flood->time_at[request * flood->batch + i],
				 first + (int64_t) (flood->sent + i) * step);
	flood->sent += flood->batch;
}

/*
 * Sending
 */

static void
want(Flood *flood, Connection *connection, bool to_write)
{
	struct epoll_event event = {.events = EPOLLIN | (to_write ? EPOLLOUT : 0),
								.data.ptr = connection};

	if (connection->wants_to_write == to_write)
		return;
	connection->wants_to_write = to_write;
	if (epoll_ctl(flood->epoll, EPOLL_CTL_MOD, connection->fd, &event) != 0)
		die("epoll_ctl");
}

static void
push(Flood *flood, Connection *connection)
{
	while (connection->send_from < connection->send_to)
	{
		ssize_t n = send(connection->fd, flood->pool + connection->send_from,
						 connection->send_to - connection->send_from, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			die("send");
		connection->send_from += (size_t) n;
	}
	want(flood, connection, connection->send_from < connection->send_to);
}

/* Sends up to so many messages on the connection, as its depth allows. */
static void
send_some(Flood *flood, Connection *connection, uint64_t messages, int64_t now)
{
	uint64_t count = messages / flood->batch;
	uint64_t room = flood->depth - connection->outstanding;

	/* What lies in one piece is sent in one piece. */
	if (connection->send_from < connection->send_to)
		return;
	if (count > room)
		count = room;
	if (count > flood->request_count - flood->next_request)
		count = flood->request_count - flood->next_request;
	if (count == 0)
		return;
	connection->send_from = flood->requests[flood->next_request].start;
	for (uint64_t i = 0; i < count; i++)
	{
		date_request(flood, flood->next_request);
		connection->send_to = flood->requests[flood->next_request].end;
		connection->started[(connection->first + connection->outstanding++) % flood->depth] = now;
		flood->next_request++;
	}
	if (flood->next_request == flood->request_count)
		flood->next_request = 0;
	push(flood, connection);
}

/* How many messages are due and not sent. */
static uint64_t
due(const Flood *flood, int64_t now)
{
	int64_t passed = now - flood->began_ns;
	uint64_t total = flood->messages;

	if (passed >= flood->length_ns)
	{
		if (flood->rate == 0)
			return 0;
		passed = flood->length_ns;
	}
	if (flood->rate > 0)
	{
		uint64_t by_now = (uint64_t) ((__int128) passed * (__int128) flood->rate / NS);

		if (by_now < total)
			total = by_now;
	}
	return total > flood->sent ? total - flood->sent : 0;
}

/*
 * Answers
 */

/* Reads an answer's length and status; 0: there is more to come. */
static size_t
read_answer(Flood *flood, const char *text, size_t length, int *status)
{
	const char *end;
	const char *field;
	size_t bytes;

	if (flood->like_bytes > 0 && length >= flood->like_bytes &&
		memcmp(text, flood->like, flood->like_bytes) == 0)
	{
		*status = flood->like_status;
		return flood->like_bytes;
	}
	end = memmem(text, length, "\r\n\r\n", 4);
	if (end == NULL)
		return 0;
	bytes = (size_t) (end + 4 - text);
	*status = atoi(text + strlen("HTTP/1.1 "));
	if (memcmp(text, "HTTP/1.1 ", 9) != 0 || *status < 200)
	{
		fprintf(stderr, "historian-flood: not an answer: %.*s\n", (int) bytes, text);
		exit(1);
	}
	field = memmem(text, bytes, "\r\nContent-Length: ", 18);
	if (field != NULL && *status != 204)
		bytes += strtoull(field + 18, NULL, 10);
	if (bytes > length)
		return 0;
	if (bytes <= sizeof(flood->like))
	{
		memcpy(flood->like, text, bytes);
		flood->like_bytes = bytes;
		flood->like_status = *status;
	}
	return bytes;
}

static void
take_answers(Flood *flood, Connection *connection, int64_t now)
{
	size_t at = 0;
	size_t bytes;
	int status;

	while (at < connection->answer_bytes &&
		   (bytes = read_answer(flood, connection->answer + at, connection->answer_bytes - at,
								&status)) > 0)
	{
		if (connection->outstanding == 0)
		{
			fprintf(stderr, "historian-flood: an answer to nothing\n");
			exit(1);
		}
		latency_add(&flood->latency, (uint64_t) (now - connection->started[connection->first]));
		connection->first = (connection->first + 1) % flood->depth;
		connection->outstanding--;
		flood->answered += flood->batch;
		if (status < 300)
		{
			flood->accepted += flood->batch;
			flood->last_accepted_ns = now;
		}
		else if (flood->requests_refused++ == 0)
		{
			flood->first_refusal = status;
			fprintf(stderr, "historian-flood: refused: %.*s\n", (int) bytes,
					connection->answer + at);
		}
		at += bytes;
	}
	memmove(connection->answer, connection->answer + at, connection->answer_bytes - at);
	connection->answer_bytes -= at;
}

static void
receive(Flood *flood, Connection *connection)
{
	ssize_t n = recv(connection->fd, connection->answer + connection->answer_bytes,
					 ANSWER_BYTES - connection->answer_bytes, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
	{
		fprintf(stderr, "historian-flood: the server closed a connection%s%s\n", n < 0 ? ": " : "",
				n < 0 ? strerror(errno) : "");
		exit(1);
	}
	connection->answer_bytes += (size_t) n;
	take_answers(flood, connection, now_ns());
}

static void
open_connections(Flood *flood)
{
	flood->epoll = epoll_create1(EPOLL_CLOEXEC);
	flood->connection = allocate(flood->connections * sizeof(Connection));
	for (uint32_t i = 0; i < flood->connections; i++)
	{
		Connection *connection = &flood->connection[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
		int on = 1;

		connection->fd = socket(flood->server.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connection->fd < 0 ||
			connect(connection->fd, (struct sockaddr *) &flood->server.address,
					sizeof(flood->server.address)) != 0)
			die("connect");
		setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (epoll_ctl(flood->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
			die("epoll_ctl");
	}
}

/* At a rate: spreads what is due over the connections, in turn. */
static void
send_due(Flood *flood, uint32_t *turn)
{
	int64_t now = now_ns();
	uint64_t waiting = due(flood, now);
	uint64_t share = (waiting + flood->connections - 1) / flood->connections;

	if (share < flood->batch)
		share = flood->batch;
	for (uint32_t i = 0; i < flood->connections && waiting >= flood->batch; i++)
	{
		uint64_t before = flood->sent;

		*turn = (*turn + 1) % flood->connections;
		send_some(flood, &flood->connection[*turn], share < waiting ? share : waiting, now);
		waiting -= flood->sent - before;
	}
}

static void
run(Flood *flood)
{
	struct epoll_event events[256];
	uint32_t turn = 0;

	flood->began_ns = now_ns();
	if (flood->rate == 0)
	{
		for (uint32_t i = 0; i < flood->connections; i++)
			send_some(flood, &flood->connection[i], due(flood, now_ns()), now_ns());
	}
	for (;;)
	{
		int64_t now = now_ns();
		bool over = now - flood->began_ns >= flood->length_ns || flood->sent >= flood->messages;
		int count;

		if (over && flood->answered == flood->sent && due(flood, now) < flood->batch)
			break;
		if (now - flood->began_ns >
			(flood->length_ns < INT64_MAX - DRAIN_NS ? flood->length_ns + DRAIN_NS : INT64_MAX))
		{
			fprintf(stderr, "historian-flood: %" PRIu64 " messages were never answered\n",
					flood->sent - flood->answered);
			break;
		}
		count = epoll_wait(flood->epoll, events, 256, flood->rate > 0 ? 1 : 100);
		if (count < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < count; i++)
		{
			Connection *connection = events[i].data.ptr;

			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				receive(flood, connection);
			if (events[i].events & EPOLLOUT)
				push(flood, connection);
			if (flood->rate == 0)
			{
				now = now_ns();
				send_some(flood, connection, due(flood, now), now);
			}
		}
		if (flood->rate > 0)
			send_due(flood, &turn);
	}
}

static void
report(Flood *flood)
{
	double seconds = (double) (flood->last_accepted_ns - flood->began_ns) / 1e9;

	printf("accepted=%" PRIu64 " sent=%" PRIu64 " refused=%" PRIu64
		   " seconds=%.3f rate=%.0f p50_ms=%.3f p99_ms=%.3f max_ms=%.3f\n",
		   flood->accepted, flood->sent, flood->requests_refused * flood->batch, seconds,
		   seconds > 0 ? (double) flood->accepted / seconds : 0,
		   latency_percentile_ms(&flood->latency, 50), latency_percentile_ms(&flood->latency, 99),
		   latency_percentile_ms(&flood->latency, 100));
}

static void
read_options(Flood *flood, int argc, char **argv)
{
	enum
	{
		URL,
		PATH,
		FORMAT,
		BATCH,
		DISTINCT,
		CONNECTIONS,
		DEPTH,
		RATE,
		MESSAGES,
		DURATION,
		START,
		WORKLOAD,
		TAGS,
		LETTER,
		HELP,
	};
	static const struct option options[] = {{"url", required_argument, NULL, URL},
											{"path", required_argument, NULL, PATH},
											{"format", required_argument, NULL, FORMAT},
											{"batch", required_argument, NULL, BATCH},
											{"distinct", required_argument, NULL, DISTINCT},
											{"connections", required_argument, NULL, CONNECTIONS},
											{"depth", required_argument, NULL, DEPTH},
											{"rate", required_argument, NULL, RATE},
											{"messages", required_argument, NULL, MESSAGES},
											{"duration", required_argument, NULL, DURATION},
											{"start", required_argument, NULL, START},
											{"workload", required_argument, NULL, WORKLOAD},
											{"tags", required_argument, NULL, TAGS},
											{"letter", required_argument, NULL, LETTER},
											{"help", no_argument, NULL, HELP},
											{0}};
	static const char *const workloads[] = {"skewed", "plant", NULL};
	const char *url = "http://127.0.0.1:8080";
	uint32_t tags = 100000;
	bool plant = false;
	const char *name;
	int option;

	while ((option = option_next(argc, argv, options, usage, &name)) != -1)
	{
		switch (option)
		{
			case URL:
				url = optarg;
				break;
			case PATH:
				flood->path = optarg;
				break;
			case FORMAT:
				flood->format = option_word(name, optarg, formats);
				break;
			case BATCH:
				flood->batch = (uint32_t) option_number(name, optarg, 1, 1000000);
				break;
			case DISTINCT:
				flood->distinct = (uint32_t) option_number(name, optarg, 1, 10000000);
				break;
			case CONNECTIONS:
				flood->connections = (uint32_t) option_number(name, optarg, 1, 10000);
				break;
			case DEPTH:
				flood->depth = (uint32_t) option_number(name, optarg, 1, MAX_DEPTH);
				break;
			case RATE:
				flood->rate = option_number(name, optarg, 0, 100000000);
				break;
			case MESSAGES:
				flood->messages = option_number(name, optarg, 1, UINT64_MAX);
				break;
			case DURATION:
				flood->length_ns = (int64_t) option_seconds(name, optarg) * NS;
				break;
			case START:
				flood->time_is_now = strcmp(optarg, "due") == 0;
				if (!flood->time_is_now)
					flood->start_ns = option_time(name, optarg);
				break;
			case WORKLOAD:
				plant = option_word(name, optarg, workloads) == 1;
				break;
			case TAGS:
				tags = (uint32_t) option_number(name, optarg, 1, WORKLOAD_MAX_TAGS);
				break;
			case LETTER:
				flood->letter = optarg[0];
				break;
		}
	}
	if (plant)
	{
		flood->workload.kind = WORKLOAD_PLANT;
		flood->workload.rate = flood->workload.tags = tags;
		flood->workload.values = 1;
		flood->step_ns = NS / tags;
	}
	options_check(workload_check(&flood->workload));
	options_check(http_server_set(&flood->server, url, NULL, &(TlsFiles){0}));
	if (flood->server.tls != NULL)
		options_check("--url: historian-flood has no TLS; wrk has");
	if (flood->format == FORMAT_JSON && flood->batch > 1)
		options_check("json is one message a POST");
	if (flood->time_is_now && flood->rate == 0)
		options_check("--start due needs a --rate");
	if (!flood->time_is_now && flood->start_ns < NS * NS)
		options_check("--start must have 19 digits");
	/* Else a request would be dated anew while it is on its way. */
	if (flood->distinct / flood->batch < 2 * flood->connections * flood->depth)
		flood->distinct = 2 * flood->connections * flood->depth * flood->batch;
	flood->messages -= flood->messages % flood->batch;
}

int
main(int argc, char **argv)
{
	static Flood flood = {.path = "/save",
						  .batch = 1,
						  .distinct = 200000,
						  .connections = 16,
						  .depth = 1,
						  .messages = UINT64_MAX,
						  .length_ns = 10 * NS,
						  .step_ns = 100000,
						  .workload = {.start_ns = INT64_C(1000000000000000000),
									   .seed = 1,
									   .rate = 10000,
									   .tags = 10000,
									   .values = MAX_VALUES,
									   .decimals = 2}};

	flood.start_ns = now_ns();
	read_options(&flood, argc, argv);
	make_pool(&flood);
	open_connections(&flood);
	run(&flood);
	report(&flood);
	return flood.answered == flood.sent && flood.requests_refused == 0 ? 0 : 1;
}
