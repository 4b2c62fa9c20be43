/*
 * client.c
 *	  historian-client: readers that ask at a rate and check every value of every answer.
 *
 * The client finds a producer's announcement and waits until its workload is readable.  It asks for
 * the values that each tag had before the workload.  Then it reads for the duration, with a probe
 * that measures how long a message takes from its POST to the first answer that has it.
 *
 * A reader asks at fixed times, whether its last answer has come or not, and latency counts from
 * these times, so that a stall of the server is not hidden.
 */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "announcement.h"
#include "answer.h"
#include "checker.h"
#include "examiner.h"
#include "http_client.h"
#include "latency.h"
#include "options.h"
#include "totals.h"

#define TIMEOUT_S			30
#define RETRY_MS			200
#define TELL_WAIT_S			2
#define PROBE_POLL_MS		10
#define NS_PER_MS			INT64_C(1000000)
#define NS_PER_S			INT64_C(1000000000)
#define REQUESTS_PER_READER 64

typedef struct Client Client;

typedef struct Reader
{
	Client *client;
	HttpClient *http;
	uv_timer_t timer;
	uint64_t random;
	uint64_t next_ns; /* of uv_hrtime */
} Reader;

typedef struct Read
{
	HttpRequest request;
	Client *client;
	Question question;
	uint64_t due_ns; /* of uv_hrtime */
} Read;

typedef struct Probe
{
	HttpClient *http;
	HttpRequest request;
	uv_timer_t timer;
	char tag[32];
	char message[128];
	int64_t time_ns;
	uint64_t number;
	uint64_t posted_ns; /* of uv_hrtime */
	bool posted;
} Probe;

struct Client
{
	HttpServer server;
	uint32_t reader_count;
	double rate;
	uint32_t tags;
	uint64_t window_min_s;
	uint64_t window_max_s;
	uint32_t samples;
	uint64_t seconds;
	uint64_t wait_s;
	bool wait_given;
	uint64_t probe_ms;
	uint64_t max_lag_ms;
	uint64_t max_p99_ms;
	uint64_t seed;
	bool finished; /* the producer must have ended */
	bool totals;   /* check the totals of all tags, from stdin, instead of reading */

	/* while preparing */
	HttpClient *http;
	HttpRequest request;
	Question question;
	uv_timer_t timer; /* runs until the next attempt, later until the end */
	int64_t give_up_ns;
	bool wait_told;
	uint32_t before_tag;

	/* while reading */
	Announcement announcement;
	Checker *checker;
	Examiner *examiner; /* owns the checker while there are readers */
	Reader *readers;
	Probe probe;
	uv_timer_t second;
	uint64_t started_ns; /* of uv_hrtime */
	bool stopping;
	uint32_t in_flight;
	uint64_t requests;
	uint64_t errors;
	Latency latency;
	Latency lag;
	int status;
};

static const char usage[] =
	"historian-client: reads from historiand what historian-producer sends, checks every value\n"
	"\n"
	"  --url URL            where historiand answers (http://127.0.0.1:8080)\n" TOKEN_OPTION_HELP
		TLS_CLIENT_HELP "  --readers N          readers at the same time (10)\n"
	"  --rate N             requests a second of each reader (1)\n"
	"  --duration TIME      how long to read: 60, 10m, 24h (60)\n"
	"  --tags-top N         ask for the N most frequent tags; of a plant, for its first N (100)\n"
	"  --window-min TIME    shortest window of a request (10m)\n"
	"  --window-max TIME    longest window of a request (24h)\n"
	"  --samples N          samples of an answer (1000)\n"
	"  --seed N             seed of the random windows (1)\n"
	"  --wait TIME          how long to wait for the producer's messages (60) and, if this is\n"
	"                       given, for a server that does not answer at the start\n"
	"  --finished           the producer has ended: read what it sent\n"
	"  --probe-every MS     time between two messages that measure the lag, 0 for none (500)\n"
	"  --max-p99-ms N       fail if over 1% of the reads take longer (100)\n"
	"  --max-lag-ms N       fail if a message is seen later (2000); an older value is wrong\n"
	"  --totals             read instead, once the producer has ended, lines of tag, count, first\n"
	"                       and last time from the standard input (COPY TO's text) and check that\n"
	"                       they are those of what it sent\n"
	"  -h, --help\n"
	"  --version\n"
	"\n"
	"Finds the producer's options on the server. Exits with 0 when there was no wrong value, no\n"
	"error, and no limit exceeded.\n";

static void parse_options(Client *client, int argc, char **argv);
static void get(Client *client, const char *tag, int64_t start, int64_t end, HttpCallback done);
static void retry(Client *client, const char *waiting_for);
static void on_unreachable(void *context, const char *why, bool ever, uint64_t ms);
static bool refused(Client *client, const HttpResponse *response);
static void on_retry(uv_timer_t *timer);
static void on_announcement(HttpRequest *request, const HttpResponse *response);
static void on_latest(HttpRequest *request, const HttpResponse *response);
static void ask_before(Client *client);
static void on_before(HttpRequest *request, const HttpResponse *response);

static void start_reading(Client *client);
static void on_reader(uv_timer_t *timer);
static void ask(Reader *reader, uint64_t due_ns);
static void on_answer(HttpRequest *request, const HttpResponse *response);
static void on_probe(uv_timer_t *timer);
static void on_probe_posted(HttpRequest *request, const HttpResponse *response);
static void on_probe_answer(HttpRequest *request, const HttpResponse *response);
static void error(Client *client, const char *what, const HttpResponse *response);
static void on_second(uv_timer_t *timer);
static void on_end(uv_timer_t *timer);
static void on_last_answers(uv_timer_t *timer);
static void finish(void);
static void report(Client *client);

static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* A random number from 0 to 1, but not 1. */
static double
next_fraction(uint64_t *state)
{
	return (double) (next_random(state) >> 11) / 9007199254740992.0;
}

int
main(int argc, char **argv)
{
	static Client client;
	uv_loop_t *loop = uv_default_loop();

	parse_options(&client, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	uv_timer_init(loop, &client.timer);
	client.timer.data = &client;
	client.give_up_ns = now_ns() + (int64_t) client.wait_s * NS_PER_S;
	client.http = http_client_open(loop, &client.server, TIMEOUT_S);
	on_retry(&client.timer);
	uv_run(loop, UV_RUN_DEFAULT);
	return client.status;
}

/* Reads the command line into the client, over the defaults. */
static void
parse_options(Client *client, int argc, char **argv)
{
	enum
	{
		URL,
		TOKEN_FILE,
		CA_FILE,
		CERTIFICATE,
		KEY,
		READERS,
		RATE,
		DURATION,
		TAGS_TOP,
		WINDOW_MIN,
		WINDOW_MAX,
		SAMPLES,
		SEED,
		WAIT,
		FINISHED,
		PROBE_EVERY,
		MAX_P99,
		MAX_LAG,
		TOTALS,
		HELP
	};
	static const struct option options[] = {
		{"url", required_argument, NULL, URL},
		{"token-file", required_argument, NULL, TOKEN_FILE},
		TLS_CLIENT_OPTIONS(CA_FILE, CERTIFICATE, KEY),
		{"readers", required_argument, NULL, READERS},
		{"rate", required_argument, NULL, RATE},
		{"duration", required_argument, NULL, DURATION},
		{"tags-top", required_argument, NULL, TAGS_TOP},
		{"window-min", required_argument, NULL, WINDOW_MIN},
		{"window-max", required_argument, NULL, WINDOW_MAX},
		{"samples", required_argument, NULL, SAMPLES},
		{"seed", required_argument, NULL, SEED},
		{"wait", required_argument, NULL, WAIT},
		{"finished", no_argument, NULL, FINISHED},
		{"probe-every", required_argument, NULL, PROBE_EVERY},
		{"max-p99-ms", required_argument, NULL, MAX_P99},
		{"max-lag-ms", required_argument, NULL, MAX_LAG},
		{"totals", no_argument, NULL, TOTALS},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	const char *url = "http://127.0.0.1:8080";
	const char *token_file = NULL;
	TlsFiles files = {0};
	const char *name;
	int option;

	client->reader_count = 10;
	client->rate = 1;
	client->tags = 100;
	client->window_min_s = 600;
	client->window_max_s = 86400;
	client->samples = 1000;
	client->seconds = 60;
	client->wait_s = 60;
	client->probe_ms = 500;
	client->max_lag_ms = 2000;
	client->max_p99_ms = 100;
	client->seed = 1;

	while ((option = option_next(argc, argv, options, usage, &name)) != -1)
	{
#define NUMBER(min, max) option_number(name, optarg, min, max)
		switch (option)
		{
			case URL:
				url = optarg;
				break;
			case TOKEN_FILE:
				token_file = optarg;
				break;
			case CA_FILE:
				files.ca_file = optarg;
				break;
			case CERTIFICATE:
				files.certificate = optarg;
				break;
			case KEY:
				files.key = optarg;
				break;
			case READERS:
				client->reader_count = (uint32_t) NUMBER(1, 10000);
				break;
			case RATE:
				client->rate = (double) NUMBER(1, 1000);
				break;
			case DURATION:
				client->seconds = option_seconds(name, optarg);
				break;
			case TAGS_TOP:
				client->tags = (uint32_t) NUMBER(1, 10000);
				break;
			case WINDOW_MIN:
				client->window_min_s = option_seconds(name, optarg);
				break;
			case WINDOW_MAX:
				client->window_max_s = option_seconds(name, optarg);
				break;
			case SAMPLES:
				client->samples = (uint32_t) NUMBER(1, 10000);
				break;
			case SEED:
				client->seed = NUMBER(0, UINT64_MAX);
				break;
			case WAIT:
				client->wait_s = option_seconds(name, optarg);
				client->wait_given = true;
				break;
			case FINISHED:
				client->finished = true;
				break;
			case PROBE_EVERY:
				client->probe_ms = NUMBER(0, 3600000);
				break;
			case MAX_P99:
				client->max_p99_ms = NUMBER(1, 3600000);
				break;
			case MAX_LAG:
				client->max_lag_ms = NUMBER(1, 3600000);
				break;
			case TOTALS:
				client->totals = client->finished = true;
				break;
		}
#undef NUMBER
	}
	if (client->window_min_s < 1 || client->window_min_s > client->window_max_s)
		options_check("--window-min must be 1 or more and not over --window-max");
	options_check(http_server_set(&client->server, url, token_file, &files));
	client->server.on_unreachable = on_unreachable;
	client->server.context = client;
}

/* Asks for one sample: the values at the time end. */
static void
get(Client *client, const char *tag, int64_t start, int64_t end, HttpCallback done)
{
	char path[300];

	snprintf(path, sizeof(path),
			 "/api?tag=%s&start=%" PRId64 "&end=%" PRId64 "&precision=ns&samples=1", tag, start,
			 end);
	http_request_get(&client->request, &client->server, path);
	client->question.start = start;
	client->question.end = end;
	client->question.samples = 1;
	client->question.asked_ns = now_ns();
	client->request.callback = done;
	client->request.context = client;
	http_client_send(client->http, &client->request);
}

/* Begins again after a pause, or gives up after --wait. */
static void
retry(Client *client, const char *waiting_for)
{
	if (now_ns() < client->give_up_ns)
	{
		/* At first the producer may be about to start, which nobody needs to be told. */
		if (!client->wait_told &&
			now_ns() > client->give_up_ns - ((int64_t) client->wait_s - TELL_WAIT_S) * NS_PER_S)
		{
			fprintf(stderr, "historian-client: waits up to %" PRIu64 " s for %s\n", client->wait_s,
					waiting_for);
			client->wait_told = true;
		}
		uv_timer_start(&client->timer, on_retry, RETRY_MS, 0);
		return;
	}
	fprintf(stderr, "historian-client: waited %" PRIu64 " s for %s\n", client->wait_s, waiting_for);
	client->status = 1;
	finish();
}

/*
 * A server that does not answer at the start is an error, most often a wrong URL, unless --wait is
 * given.  One that is lost later is asked again until the time of preparing or of reading is over.
 */
static void
on_unreachable(void *context, const char *why, bool ever, uint64_t ms)
{
	static bool told;
	Client *client = context;
	bool over = client->examiner == NULL && now_ns() >= client->give_up_ns;

	(void) ms;
	if (ever || client->wait_given ? over : true)
	{
		fprintf(stderr, "historian-client: cannot reach %s: %s\n", client->server.url.authority,
				why);
		exit(1);
	}
	if (!told)
		fprintf(stderr, "historian-client: cannot reach %s: %s; it is tried again\n",
				client->server.url.authority, why);
	told = true;
}

/* Ends with an answer that waiting does not change: a wrong token, or HTTP without TLS. */
static bool
refused(Client *client, const HttpResponse *response)
{
	if (response == NULL || response->status / 100 != 4 || response->status == 404 ||
		response->status == 408 || response->status == 429)
		return false;
	fprintf(stderr, "historian-client: the server refuses to be read with %d: %.*s\n",
			response->status, 1000, response->body);
	client->status = 1;
	finish();
	return true;
}

/* Begins with the announcement. */
static void
on_retry(uv_timer_t *timer)
{
	Client *client = timer->data;

	get(client, ANNOUNCEMENT_TAG, 0, now_ns() + 3600 * NS_PER_S, on_announcement);
}

/* Checks the totals, or goes on with the workload that was announced. */
static void
on_announcement(HttpRequest *request, const HttpResponse *response)
{
	Client *client = request->context;
	char tag[WORKLOAD_TAG_BYTES];
	Answer answer = {0};
	bool read = response != NULL && response->status == 200 &&
				answer_parse(&answer, response->body, response->body_bytes) &&
				answer.samples == 1 && answer.widths[0] > 0 &&
				announcement_read(&client->announcement, answer.values, (size_t) answer.widths[0]);

	answer_free(&answer);
	if (refused(client, response))
		return;
	if (!read)
		retry(client, response == NULL ? "the server"
									   : "a producer's announcement; historian-producer sends it");
	else if (client->announcement.ended != client->finished)
		retry(client, client->finished ? "the producer's end"
									   : "a running producer; with --finished "
										 "the messages of one that has ended are read");
	else if (client->totals)
	{
		client->status = totals_check(&client->announcement, stdin);
		finish();
	}
	else
	{
		checker_close(client->checker);
		client->checker = checker_open(&client->announcement, client->tags, client->max_lag_ms);
		if (client->tags > client->announcement.workload.tags)
			client->tags = client->announcement.workload.tags;
		workload_tag_name(checker_workload(client->checker), 0, tag);
		client->question.tag = 0;
		get(client, tag, client->announcement.workload.start_ns - 1, now_ns(), on_latest);
	}
}

/* Goes on if the most frequent tag's latest values are those of the workload. */
static void
on_latest(HttpRequest *request, const HttpResponse *response)
{
	Client *client = request->context;
	Answer answer = {0};

	checker_advance(client->checker, now_ns());
	if (response == NULL || response->status != 200 ||
		!answer_parse(&answer, response->body, response->body_bytes) ||
		!checker_is_current(client->checker, &client->question, &answer))
		retry(client, "the producer's latest messages to be readable");
	else
	{
		client->before_tag = 0;
		ask_before(client);
	}
	answer_free(&answer);
}

/* Asks for the next tag's values just before the workload; after the last tag, begins to read. */
static void
ask_before(Client *client)
{
	int64_t start_ns = client->announcement.workload.start_ns;
	char tag[WORKLOAD_TAG_BYTES];

	if (client->before_tag == client->tags)
	{
		start_reading(client);
		return;
	}
	workload_tag_name(checker_workload(client->checker), client->before_tag, tag);
	get(client, tag, start_ns - 2, start_ns - 1, on_before);
}

/* Tells the checker the values of a tag before the workload. */
static void
on_before(HttpRequest *request, const HttpResponse *response)
{
	Client *client = request->context;
	Answer answer = {0};

	if (response != NULL && response->status == 404)
		checker_set_before(client->checker, client->before_tag, NULL);
	else if (response != NULL && response->status == 200 &&
			 answer_parse(&answer, response->body, response->body_bytes))
		checker_set_before(client->checker, client->before_tag, &answer);
	else
	{
		retry(client, "an answer about the time before the workload");
		return;
	}
	answer_free(&answer);
	client->before_tag++;
	ask_before(client);
}

/* Starts the readers, whose first requests are spread evenly over their period, and the probe. */
static void
start_reading(Client *client)
{
	uv_loop_t *loop = uv_default_loop();
	uint64_t period_ns = (uint64_t) (1e9 / client->rate);

	client->examiner = examiner_start(client->checker);
	client->started_ns = uv_hrtime();
	client->readers = calloc(client->reader_count, sizeof(*client->readers));
	if (client->readers == NULL)
		abort();
	for (uint32_t i = 0; i < client->reader_count; i++)
	{
		Reader *reader = &client->readers[i];

		reader->client = client;
		reader->http = http_client_open(loop, &client->server, TIMEOUT_S);
		reader->random = client->seed + i * UINT64_C(0xD1B54A32D192ED03);
		reader->next_ns = client->started_ns + period_ns * i / client->reader_count;
		uv_timer_init(loop, &reader->timer);
		reader->timer.data = reader;
		on_reader(&reader->timer);
	}
	uv_timer_init(loop, &client->probe.timer);
	client->probe.timer.data = client;
	snprintf(client->probe.tag, sizeof(client->probe.tag), "probe-%08x",
			 (unsigned int) (now_ns() ^ getpid()));
	client->probe.http = http_client_open(loop, &client->server, TIMEOUT_S);
	if (client->probe_ms > 0 && !client->finished)
		on_probe(&client->probe.timer);
	uv_timer_init(loop, &client->second);
	client->second.data = client;
	uv_timer_start(&client->second, on_second, 1000, 1000);
	uv_timer_start(&client->timer, on_end, client->seconds * 1000, 0);
}

/* Sends the requests that are due, then sleeps until the next one is. */
static void
on_reader(uv_timer_t *timer)
{
	Reader *reader = timer->data;
	uint64_t now = uv_hrtime();

	if (reader->client->stopping)
		return;
	while (reader->next_ns <= now)
	{
		ask(reader, reader->next_ns);
		reader->next_ns += (uint64_t) (1e9 / reader->client->rate);
	}
	uv_update_time(uv_default_loop());
	uv_timer_start(timer, on_reader, (reader->next_ns - now + 999999) / 1000000, 0);
}

/*
 * Asks for a random window of a random tag: its length is log-uniform, and its end is at most now.
 */
static void
ask(Reader *reader, uint64_t due_ns)
{
	Client *client = reader->client;
	Read *read = calloc(1, sizeof(*read));
	double shortest = log((double) client->window_min_s);
	double longest = log((double) client->window_max_s);
	double window_s = exp(shortest + next_fraction(&reader->random) * (longest - shortest));
	int64_t window_ns = (int64_t) (window_s * 1e9);
	int64_t newest, oldest;
	char path[300], tag[WORKLOAD_TAG_BYTES];

	if (read == NULL)
		abort();
	read->client = client;
	read->due_ns = due_ns;
	read->question.tag = (uint32_t) (next_fraction(&reader->random) * client->tags);
	read->question.samples = client->samples;
	read->question.asked_ns = now_ns();

	newest = read->question.asked_ns;
	if (client->finished)
		newest = checker_last_time(client->checker, newest);
	oldest = newest - (int64_t) client->window_max_s * NS_PER_S;
	if (oldest < client->announcement.workload.start_ns)
		oldest = client->announcement.workload.start_ns;
	read->question.end =
		newest - (int64_t) (next_fraction(&reader->random) * (double) (newest - oldest));
	read->question.start = read->question.end - window_ns;

	workload_tag_name(checker_workload(client->checker), read->question.tag, tag);
	snprintf(path, sizeof(path),
			 "/api?tag=%s&start=%" PRId64 "&end=%" PRId64 "&precision=ns&samples=%u", tag,
			 read->question.start, read->question.end, client->samples);
	http_request_get(&read->request, &client->server, path);
	read->request.callback = on_answer;
	read->request.context = read;
	client->in_flight++;
	client->requests++;
	http_client_send(reader->http, &read->request);
}

/* Notes the latency of an answer, and gives it to the examiner. */
static void
on_answer(HttpRequest *request, const HttpResponse *response)
{
	Read *read = request->context;
	Client *client = read->client;

	if (client->examiner == NULL)
	{
		/* The report was made, and has counted this as an error. */
		free(read);
		return;
	}
	client->in_flight--;
	latency_add(&client->latency, uv_hrtime() - read->due_ns);
	if (response != NULL && response->status == 404)
		examiner_add(client->examiner, &read->question, NULL, 0);
	else if (response != NULL && response->status == 200)
		examiner_add(client->examiner, &read->question, response->body, response->body_bytes);
	else
		error(client, "GET /api", response);
	free(read);
}

/* Posts a message, or asks for it until an answer has it. */
static void
on_probe(uv_timer_t *timer)
{
	Client *client = timer->data;
	Probe *probe = &client->probe;
	char path[200];

	if (client->stopping)
		return;
	if (probe->posted)
	{
		snprintf(path, sizeof(path),
				 "/api?tag=%s&start=%" PRId64 "&end=%" PRId64 "&precision=ns&samples=1", probe->tag,
				 probe->time_ns - 1, probe->time_ns);
		http_request_get(&probe->request, &client->server, path);
		probe->request.callback = on_probe_answer;
	}
	else
	{
		probe->time_ns = now_ns();
		probe->posted_ns = uv_hrtime();
		snprintf(probe->message, sizeof(probe->message),
				 "{\"time\":%" PRId64 ",\"tag\":\"%s\",\"values\":[%" PRIu64 "]}", probe->time_ns,
				 probe->tag, ++probe->number);
		http_request_post(&probe->request, &client->server, "/save", "application/json",
						  strlen(probe->message));
		probe->request.body = probe->message;
		probe->request.callback = on_probe_posted;
	}
	probe->request.context = client;
	client->in_flight++;
	http_client_send(probe->http, &probe->request);
}

static void
on_probe_posted(HttpRequest *request, const HttpResponse *response)
{
	Client *client = request->context;

	client->in_flight--;
	client->probe.posted = response != NULL && response->status == 202;
	if (!client->probe.posted)
		error(client, "POST /save", response);
	if (!client->stopping)
		uv_timer_start(&client->probe.timer, on_probe, PROBE_POLL_MS, 0);
}

/* Notes the lag if the answer has the message; asks again otherwise. */
static void
on_probe_answer(HttpRequest *request, const HttpResponse *response)
{
	Client *client = request->context;
	Probe *probe = &client->probe;
	uint64_t lag_ns = uv_hrtime() - probe->posted_ns;
	uint64_t pause_ms = PROBE_POLL_MS;
	Answer answer = {0};

	client->in_flight--;
	if (response == NULL || (response->status != 200 && response->status != 404))
		error(client, "GET /api of the probe", response);
	else if (response->status == 200 &&
			 answer_parse(&answer, response->body, response->body_bytes) && answer.samples == 1 &&
			 answer.widths[0] == 1 && answer.values[0] == (double) probe->number)
	{
		latency_add(&client->lag, lag_ns);
		probe->posted = false;
		pause_ms = client->probe_ms;
	}
	answer_free(&answer);
	if (!client->stopping)
		uv_timer_start(&probe->timer, on_probe, pause_ms, 0);
	else if (probe->posted)
		latency_add(&client->lag, lag_ns); /* the lag is at least that long */
}

static void
error(Client *client, const char *what, const HttpResponse *response)
{
	if (client->errors++ >= 5)
		return;
	if (response == NULL)
		fprintf(stderr, "error: %s: the connection was lost\n", what);
	else
		fprintf(stderr, "error: %s: %d %.200s\n", what, response->status, response->body);
}

static void
on_second(uv_timer_t *timer)
{
	Client *client = timer->data;
	ExaminerCounts counts;

	if (!isatty(STDERR_FILENO) || client->examiner == NULL)
		return;
	counts = examiner_counts(client->examiner);
	fprintf(stderr,
			"\r%" PRIu64 " requests, p99 %.1f ms, lag %.0f ms, %" PRIu64 " wrong, %" PRIu64
			" errors\033[K",
			client->requests, latency_percentile_ms(&client->latency, 99),
			latency_percentile_ms(&client->lag, 99), counts.wrong, client->errors + counts.refused);
}

/* Ends the questions, and waits for the last answers. */
static void
on_end(uv_timer_t *timer)
{
	Client *client = timer->data;

	client->stopping = true;
	client->give_up_ns = now_ns() + 10 * NS_PER_S;
	on_last_answers(timer);
}

static void
on_last_answers(uv_timer_t *timer)
{
	Client *client = timer->data;

	if (client->in_flight > 0 && now_ns() < client->give_up_ns)
	{
		uv_timer_start(timer, on_last_answers, 10, 0);
		return;
	}
	report(client);
	finish();
}

/* Ends the loop; connections end with the process. */
static void
finish(void)
{
	uv_stop(uv_default_loop());
}

/*
 * Prints the results; the client fails if a value was wrong, an error occurred or a limit was
 * exceeded.
 */
static void
report(Client *client)
{
	const CheckerCounts *counts = checker_counts(client->checker);
	double seconds = (double) (uv_hrtime() - client->started_ns) / 1e9;
	double p99 = latency_percentile_ms(&client->latency, 99);
	double max_lag = latency_percentile_ms(&client->lag, 100);
	ExaminerCounts examined;
	bool lag_measured = client->lag.count > 0 || client->probe_ms == 0 || client->finished;

	examined = examiner_end(client->examiner);
	client->examiner = NULL;
	client->errors += client->in_flight + examined.refused;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	printf("client: %" PRIu64 " requests of %u readers in %.1f s, %" PRIu64 " errors\n",
		   client->requests, client->reader_count, seconds, client->errors);
	printf("client: %" PRIu64 " samples right, %" PRIu64 " wrong, %" PRIu64
		   " from before the workload unchecked\n",
		   counts->right, counts->wrong, counts->unchecked);
	printf("client: latency p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms (limit: p99 "
		   "%" PRIu64 " ms)\n",
		   latency_percentile_ms(&client->latency, 50), latency_percentile_ms(&client->latency, 95),
		   p99, latency_percentile_ms(&client->latency, 100), client->max_p99_ms);
	if (examined.waits > 0)
		printf("client: %" PRIu64
			   " times answers waited for the check of earlier ones; their latency "
			   "includes that\n",
			   examined.waits);
	if (client->lag.count > 0)
		printf("client: lag p50 %.0f ms, p99 %.0f ms, max %.0f ms of %zu probes (limit: max "
			   "%" PRIu64 " ms)\n",
			   latency_percentile_ms(&client->lag, 50), latency_percentile_ms(&client->lag, 99),
			   max_lag, client->lag.count, client->max_lag_ms);
	if (counts->wrong > 0 || counts->right == 0 || client->errors > 0 || !lag_measured ||
		p99 > (double) client->max_p99_ms || max_lag > (double) client->max_lag_ms)
	{
		printf("client: FAILED\n");
		client->status = 1;
	}
}
