/*
 * producer.c
 *	  historian-producer: posts a generated workload, or the lines of a file, to historiand.
 *
 * At each tick, batches are filled with the messages that are due.  An acknowledgement frees a
 * batch, and the next one is filled.  If the server is slower than messages become due, the
 * producer falls behind but loses none.  It announces the workload before its first message and
 * after its last one (announcement.h).
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "announcement.h"
#include "options.h"
#include "sender.h"
#include "source.h"
#include "workload.h"

#define TICK_MS		5
#define END_WAIT_MS 60000
#define NS_PER_MS	INT64_C(1000000)

typedef struct Producer
{
	HttpServer server;
	uint64_t wait_ms;	  /* for a server that does not answer at the start */
	uint64_t end_wait_ms; /* and once all messages are due */
	SenderOptions sender_options;
	uint32_t batch;
	uint32_t linger_ms; /* the longest that a due message waits for its batch to fill */
	Announcement announcement;
	uint64_t seconds;  /* length of the workload; 0: it has no end */
	uint64_t messages; /* the most to be sent */
	const char *file;
	bool paced; /* max_rate was given */
	uint64_t max_rate;

	Workload *workload; /* NULL with a file */
	Source *source;
	Sender *sender;
	Sender *announcer;
	uv_timer_t tick;
	uv_timer_t second;
	uv_signal_t interrupt;
	uv_signal_t terminate;
	bool stopping; /* no more messages are read */
	bool ended;	   /* all messages are acknowledged */
	int64_t start_ns;
	int64_t end_ns;
	int64_t waiting_since_ns; /* since when less than a batch is due; 0: it is not */
	SenderStatistics result;
} Producer;

static const char usage[] =
	"historian-producer: posts messages to historiand\n"
	"\n"
	"  --url URL            where historiand answers (http://127.0.0.1:8080)\n" TOKEN_OPTION_HELP
		TLS_CLIENT_HELP
	"  --wait TIME          how long to try to reach a server that does not answer at the start\n"
	"                       (0), or is lost and still does not answer after the end (60)\n"
	"  --workload KIND      skewed: few tags have most of the messages; plant: each tag has one\n"
	"                       message a second (skewed)\n"
	"  --phase KIND         a plant's tags report spread over the second, or all at-once (spread)\n"
	"  --rate N             messages a second (10000); of a plant the same as --tags\n"
	"  --duration TIME      how long, by the times of the messages: 60, 10m, 24h (until stopped)\n"
	"  --messages N         end after N messages\n"
	"  --start TIME         time of the first one: now, -24h, or ns since 1970 (now); those in\n"
	"                       the past are sent as fast as the server takes them\n"
	"  --max-rate N         send N a second whatever their time, 0 for as fast as possible\n"
	"  --peak-rate N        a peak of N a second ends each period\n"
	"  --peak-every TIME    length of the period (60)\n"
	"  --peak-length TIME   length of the peak (1)\n"
	"  --seed N             seed of the random numbers (1)\n"
	"  --tags N             number of tags (10000; of a plant 100000); tag k of the skewed ones\n"
	"                       takes 1% of what tags 0..k-1 left\n"
	"  --values N           values of a message (10; of a plant 1)\n"
	"  --decimals N         decimals of a value, 0 to 6 (2)\n"
	"  --file PATH          post the lines of an NDJSON file (plain or gzip) instead, at --rate\n"
	"                       if given, else as fast as possible\n"
	"  --precision UNIT     unit of the times in the file: ns, us, ms or s (none is named)\n"
	"  --batch N            messages a POST (100); 1 sends plain JSON objects\n"
	"  --linger MS          longest wait for a batch to fill (100)\n"
	"  --connections N      connections at the same time (4)\n"
	"  --pipeline N         batches in flight on a connection (4)\n"
	"  --ack KIND           ask for received (202) or committed (204) (received)\n"
	"  -h, --help\n"
	"  --version\n"
	"\n"
	"Exits with 0 when every message was acknowledged.\n";

static void parse_options(Producer *producer, int argc, char **argv);
static void finish_options(Producer *producer, bool rate_given);
static void announce(Producer *producer, void (*on_announced)(void *));
static void start(void *context);
static void on_tick(uv_timer_t *timer);
static void on_free(void *context);
static void fill(Producer *producer);
static bool fill_batch(Producer *producer, int64_t now);
static void end(Producer *producer);
static void close_all(void *context);
static void on_unreachable(void *context, const char *why, bool ever, uint64_t ms);
static void on_signal(uv_signal_t *signal, int number);
static void on_second(uv_timer_t *timer);
static void report(const Producer *producer);

int
main(int argc, char **argv)
{
	static Producer producer;
	uv_loop_t *loop = uv_default_loop();

	parse_options(&producer, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	uv_signal_init(loop, &producer.interrupt);
	uv_signal_init(loop, &producer.terminate);
	uv_timer_init(loop, &producer.tick);
	uv_timer_init(loop, &producer.second);
	producer.interrupt.data = producer.terminate.data = &producer;
	producer.tick.data = producer.second.data = &producer;
	uv_signal_start(&producer.interrupt, on_signal, SIGINT);
	uv_signal_start(&producer.terminate, on_signal, SIGTERM);
	if (isatty(STDERR_FILENO))
		uv_timer_start(&producer.second, on_second, 1000, 1000);

	producer.start_ns = now_ns();
	if (producer.workload != NULL)
		announce(&producer, start);
	else
		start(&producer);
	uv_run(loop, UV_RUN_DEFAULT);

	report(&producer);
	source_close(producer.source);
	workload_close(producer.workload);
	return producer.result.messages_refused > 0 || !producer.ended;
}

/* Reads the command line into the producer, over the defaults. */
static void
parse_options(Producer *producer, int argc, char **argv)
{
	enum
	{
		URL,
		TOKEN_FILE,
		CA_FILE,
		CERTIFICATE,
		KEY,
		WAIT,
		WORKLOAD,
		PHASE,
		RATE,
		DURATION,
		MESSAGES,
		START,
		MAX_RATE,
		PEAK_RATE,
		PEAK_EVERY,
		PEAK_LENGTH,
		SEED,
		TAGS,
		VALUES,
		DECIMALS,
		FILE_PATH,
		PRECISION,
		BATCH,
		LINGER,
		CONNECTIONS,
		PIPELINE,
		ACK,
		HELP
	};
	static const struct option options[] = {
		{"url", required_argument, NULL, URL},
		{"token-file", required_argument, NULL, TOKEN_FILE},
		TLS_CLIENT_OPTIONS(CA_FILE, CERTIFICATE, KEY),
		{"wait", required_argument, NULL, WAIT},
		{"workload", required_argument, NULL, WORKLOAD},
		{"phase", required_argument, NULL, PHASE},
		{"rate", required_argument, NULL, RATE},
		{"duration", required_argument, NULL, DURATION},
		{"messages", required_argument, NULL, MESSAGES},
		{"start", required_argument, NULL, START},
		{"max-rate", required_argument, NULL, MAX_RATE},
		{"peak-rate", required_argument, NULL, PEAK_RATE},
		{"peak-every", required_argument, NULL, PEAK_EVERY},
		{"peak-length", required_argument, NULL, PEAK_LENGTH},
		{"seed", required_argument, NULL, SEED},
		{"tags", required_argument, NULL, TAGS},
		{"values", required_argument, NULL, VALUES},
		{"decimals", required_argument, NULL, DECIMALS},
		{"file", required_argument, NULL, FILE_PATH},
		{"precision", required_argument, NULL, PRECISION},
		{"batch", required_argument, NULL, BATCH},
		{"linger", required_argument, NULL, LINGER},
		{"connections", required_argument, NULL, CONNECTIONS},
		{"pipeline", required_argument, NULL, PIPELINE},
		{"ack", required_argument, NULL, ACK},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	static const char *const kinds[] = {"received", "committed", NULL};
	static const char *const units[] = {"ns", "us", "ms", "s", NULL};
	static const char *const workloads[] = {"skewed", "plant", NULL};
	static const char *const phases[] = {"spread", "at-once", NULL};
	WorkloadOptions *workload = &producer->announcement.workload;
	const char *url = "http://127.0.0.1:8080";
	const char *token_file = NULL;
	TlsFiles files = {0};
	bool plant = false, at_once = false, rate_given = false;
	const char *name;
	int option;

	*workload = (WorkloadOptions){.start_ns = now_ns(),
								  .seed = 1,
								  .rate = 10000,
								  .peak_every_s = 60,
								  .peak_length_s = 1,
								  .decimals = 2};
	producer->messages = UINT64_MAX;
	producer->batch = 100;
	producer->linger_ms = 100;
	producer->end_wait_ms = END_WAIT_MS;
	producer->sender_options.connections = 4;
	producer->sender_options.pipeline = 4;

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
			case WAIT:
				producer->wait_ms = producer->end_wait_ms = option_seconds(name, optarg) * 1000;
				break;
			case WORKLOAD:
				plant = option_word(name, optarg, workloads) == 1;
				break;
			case PHASE:
				at_once = option_word(name, optarg, phases) == 1;
				break;
			case RATE:
				workload->rate = (uint32_t) NUMBER(1, WORKLOAD_MAX_RATE);
				rate_given = true;
				break;
			case DURATION:
				producer->seconds = option_seconds(name, optarg);
				break;
			case MESSAGES:
				producer->messages = NUMBER(1, UINT64_MAX);
				break;
			case START:
				workload->start_ns = option_time(name, optarg);
				break;
			case MAX_RATE:
				producer->max_rate = NUMBER(0, WORKLOAD_MAX_RATE);
				producer->paced = true;
				break;
			case PEAK_RATE:
				workload->peak_rate = (uint32_t) NUMBER(1, WORKLOAD_MAX_RATE);
				break;
			case PEAK_EVERY:
				workload->peak_every_s = (uint32_t) option_seconds(name, optarg);
				break;
			case PEAK_LENGTH:
				workload->peak_length_s = (uint32_t) option_seconds(name, optarg);
				break;
			case SEED:
				workload->seed = NUMBER(0, WORKLOAD_MAX_SEED);
				break;
			case TAGS:
				workload->tags = (uint32_t) NUMBER(1, WORKLOAD_MAX_TAGS);
				break;
			case VALUES:
				workload->values = (uint32_t) NUMBER(1, WORKLOAD_MAX_VALUES);
				break;
			case DECIMALS:
				workload->decimals = (uint32_t) NUMBER(0, WORKLOAD_MAX_DECIMALS);
				break;
			case FILE_PATH:
				producer->file = optarg;
				break;
			case PRECISION:
				producer->sender_options.precision = units[option_word(name, optarg, units)];
				break;
			case BATCH:
				producer->batch = (uint32_t) NUMBER(1, 1000000);
				break;
			case LINGER:
				producer->linger_ms = (uint32_t) NUMBER(0, 60000);
				break;
			case CONNECTIONS:
				producer->sender_options.connections = (uint32_t) NUMBER(1, 10000);
				break;
			case PIPELINE:
				producer->sender_options.pipeline = (uint32_t) NUMBER(1, 1000);
				break;
			case ACK:
				producer->sender_options.committed = option_word(name, optarg, kinds) == 1;
				break;
		}
#undef NUMBER
	}
	options_check(http_server_set(&producer->server, url, token_file, &files));
	producer->server.on_unreachable = on_unreachable;
	producer->server.context = producer;
	if (workload->tags == 0)
		workload->tags = !plant ? 10000 : rate_given ? workload->rate : 100000;
	if (workload->values == 0)
		workload->values = plant ? 1 : 10;
	if (plant)
	{
		workload->kind = at_once ? WORKLOAD_PLANT_AT_ONCE : WORKLOAD_PLANT;
		if (!rate_given)
			workload->rate = workload->tags;
	}
	else if (at_once)
		options_check("--phase is only for --workload plant");
	if (producer->sender_options.precision != NULL && producer->file == NULL)
		options_check("--precision is only for --file");
	options_check(workload_check(workload));
	finish_options(producer, rate_given);
}

/* Opens the workload or the file that the options name. */
static void
finish_options(Producer *producer, bool rate_given)
{
	WorkloadOptions *options = &producer->announcement.workload;

	producer->sender_options.server = &producer->server;
	producer->sender_options.single = producer->batch == 1;
	if (producer->file != NULL)
	{
		producer->source = source_open_file(producer->file);
		if (rate_given && !producer->paced)
		{
			producer->paced = true;
			producer->max_rate = options->rate;
		}
		return;
	}
	producer->workload = workload_open(options);
	if (producer->seconds > 0)
	{
		uint64_t within =
			workload_count(producer->workload,
						   options->start_ns + (int64_t) producer->seconds * 1000 * NS_PER_MS - 1);

		if (within < producer->messages)
			producer->messages = within;
	}
	producer->source = source_open_workload(producer->workload, producer->messages);
}

/* Sends an announcement of the current state, then calls back. */
static void
announce(Producer *producer, void (*on_announced)(void *))
{
	SenderOptions options = {.server = &producer->server,
							 .connections = 1,
							 .pipeline = 1,
							 .committed = producer->announcement.ended,
							 .single = true,
							 .on_free = on_announced,
							 .context = producer};
	Text *text;

	producer->announcer = sender_open(uv_default_loop(), &options);
	text = sender_batch(producer->announcer);
	text->allocated = 1000;
	text->data = malloc(text->allocated);
	if (text->data == NULL)
		abort();
	text->bytes = announcement_json(&producer->announcement, now_ns(), text->data, text->allocated);
	sender_send(producer->announcer, text, 1);
}

/* Begins to send messages, after the announcement of a workload was acknowledged. */
static void
start(void *context)
{
	Producer *producer = context;

	if (producer->announcer != NULL)
	{
		producer->result = *sender_statistics(producer->announcer);
		sender_close(producer->announcer);
		producer->announcer = NULL;
		if (producer->result.messages_refused > 0 || producer->stopping)
		{
			close_all(producer);
			return;
		}
	}
	producer->sender_options.on_free = on_free;
	producer->sender_options.context = producer;
	producer->sender = sender_open(uv_default_loop(), &producer->sender_options);
	producer->start_ns = now_ns();
	if (producer->paced)
		source_set_max_rate(producer->source, producer->max_rate);
	uv_timer_start(&producer->tick, on_tick, 0, TICK_MS);
}

static void
on_tick(uv_timer_t *timer)
{
	fill(timer->data);
}

static void
on_free(void *context)
{
	fill(context);
}

static void
fill(Producer *producer)
{
	const SenderStatistics *statistics = sender_statistics(producer->sender);
	int64_t now = now_ns();

	if (statistics->messages_refused > 0)
		producer->stopping = true;
	while (!producer->stopping && fill_batch(producer, now))
		;
	if (producer->stopping && statistics->batches_in_flight == 0 && producer->end_ns == 0)
		end(producer);
}

/*
 * Fills and sends a batch if one is free, and if enough messages are due or have waited long
 * enough.
 */
static bool
fill_batch(Producer *producer, int64_t now)
{
	uint64_t read = source_messages_read(producer->source);
	uint64_t due = source_due(producer->source, now);
	Text *batch = sender_batch(producer->sender);
	uint32_t count = producer->batch;

	if (batch == NULL || due <= read)
		return false;
	if (due > producer->messages)
		due = producer->messages;
	if (due - read < producer->batch && due < producer->messages)
	{
		if (producer->waiting_since_ns == 0)
			producer->waiting_since_ns = now;
		if (now - producer->waiting_since_ns < producer->linger_ms * NS_PER_MS)
			return false;
	}
	if (due - read < count)
		count = (uint32_t) (due - read);
	producer->waiting_since_ns = 0;

	count = source_read(producer->source, count, batch);
	if (count > 0)
		sender_send(producer->sender, batch, count);
	if (source_ended(producer->source) ||
		source_messages_read(producer->source) >= producer->messages)
		producer->stopping = true;
	return true;
}

/* Ends after all messages are answered, with an announcement that the workload has ended. */
static void
end(Producer *producer)
{
	producer->end_ns = now_ns();
	producer->result = *sender_statistics(producer->sender);
	sender_close(producer->sender);
	producer->sender = NULL;
	uv_timer_stop(&producer->tick);
	producer->ended = producer->result.messages_refused == 0;
	if (producer->workload == NULL || !producer->ended)
	{
		close_all(producer);
		return;
	}
	producer->announcement.ended = true;
	producer->announcement.messages = producer->result.messages_acknowledged;
	announce(producer, close_all);
}

static void
close_all(void *context)
{
	Producer *producer = context;

	if (producer->announcer != NULL)
		sender_close(producer->announcer);
	producer->announcer = NULL;
	uv_close((uv_handle_t *) &producer->tick, NULL);
	uv_close((uv_handle_t *) &producer->second, NULL);
	uv_close((uv_handle_t *) &producer->interrupt, NULL);
	uv_close((uv_handle_t *) &producer->terminate, NULL);
}

/*
 * A server that does not answer at the start is an error, most often a wrong URL.  One that is lost
 * later is waited for: the producer falls behind, and gives up only after the end of what it sends.
 */
static void
on_unreachable(void *context, const char *why, bool ever, uint64_t ms)
{
	static bool told;
	Producer *producer = context;
	bool over = producer->stopping || producer->end_ns > 0 ||
				(producer->seconds > 0 &&
				 now_ns() - producer->start_ns > (int64_t) producer->seconds * 1000 * NS_PER_MS);

	if (ever ? !over || ms < producer->end_wait_ms : ms < producer->wait_ms)
	{
		if (!told)
			fprintf(stderr, "historian-producer: cannot reach %s: %s; it is tried again\n",
					producer->server.url.authority, why);
		told = true;
		return;
	}
	fprintf(stderr, "historian-producer: cannot reach %s: %s%s\n", producer->server.url.authority,
			why, ever ? "; it gives up" : "");
	if (producer->sender != NULL)
		producer->result = *sender_statistics(producer->sender);
	if (producer->end_ns == 0)
		producer->end_ns = now_ns();
	if (ever)
		report(producer);
	exit(1);
}

/* The first signal ends the producer after the batches in flight, the second one at once. */
static void
on_signal(uv_signal_t *signal, int number)
{
	Producer *producer = signal->data;

	if (producer->stopping || producer->sender == NULL)
	{
		if (producer->sender != NULL)
			producer->result = *sender_statistics(producer->sender);
		producer->end_ns = now_ns();
		report(producer);
		exit(128 + number);
	}
	producer->stopping = true;
	fill(producer);
}

static void
on_second(uv_timer_t *timer)
{
	const Producer *producer = timer->data;
	uint64_t read = source_messages_read(producer->source);
	uint64_t due;

	if (producer->sender == NULL)
	{
		fprintf(stderr, "\rwaiting for the server\033[K");
		return;
	}
	due = source_due(producer->source, now_ns());
	fprintf(stderr, "\r%" PRIu64 " messages sent, %" PRIu64 " acknowledged", read,
			sender_statistics(producer->sender)->messages_acknowledged);
	if (due != SOURCE_UNLIMITED && due > read)
		fprintf(stderr, ", %" PRIu64 " behind", due - read);
	fprintf(stderr, "\033[K");
}

static void
report(const Producer *producer)
{
	const SenderStatistics *result = &producer->result;
	double seconds = (double) (producer->end_ns - producer->start_ns) / 1e9;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	if (seconds <= 0)
		seconds = 1e-9;
	printf("producer: %" PRIu64 " messages sent, %" PRIu64 " acknowledged, %" PRIu64
		   " refused, %" PRIu64 " batches sent again\n",
		   source_messages_read(producer->source), result->messages_acknowledged,
		   result->messages_refused, result->batches_retried);
	printf("producer: %.1f s, %.0f messages/s, %.1f MB/s\n", seconds,
		   (double) result->messages_acknowledged / seconds,
		   (double) result->bytes / seconds / 1e6);
}
