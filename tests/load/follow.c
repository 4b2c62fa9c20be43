/*
 * follow.c
 *	  historian-follow: many clients of GET /stream, and how late each sample reaches them.
 *
 * Follower i has a connection of its own and follows one tag of the workload.  A sample is as late as
 * the moment when its event was read, minus its time, which the sender set to when the message was due
 * (historian-flood --start due).  So the time is in it that a body took to fill.
 *
 * What came is written to a file, to be compared with the table.  One thread, one epoll; its own
 * processor time is reported, because the server shares the machine with it.
 */
#define _GNU_SOURCE /* memmem() */
#include <errno.h>
#include <inttypes.h>
#include <llhttp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_client.h"
#include "latency.h"
#include "options.h"
#include "workload.h"

#define NS			 INT64_C(1000000000)
#define LINE_BYTES	 4096
#define READ_BYTES	 262144
#define OPEN_NS		 (60 * NS)
#define TARGET_BYTES 256

typedef struct Follow Follow;

/* One client. */
typedef struct Follower
{
	Follow *follow;
	llhttp_t parser;
	int fd;
	char tag[WORKLOAD_TAG_BYTES];
	char line[LINE_BYTES]; /* the begin of one whose end has not come */
	size_t line_bytes;
	int64_t last_ns; /* time of the last sample */
	bool open;		 /* something has come */
} Follower;

typedef struct Sample
{
	uint32_t follower;
	int64_t time_ns;
} Sample;

struct Follow
{
	HttpServer server;
	Workload *workload;
	uint32_t followers;
	uint32_t every; /* follower i has tag i * every */
	bool by_share;	/* instead, the tag of message i: frequent tags have many followers */
	char letter;	/* that tags begin with; 0: as the workload calls them */
	int64_t start_ns;
	int64_t quiet_ns; /* it ends when nothing has come for so long */
	const char *output;

	Follower *follower;
	uint32_t open;
	Sample *samples;
	size_t sample_count;
	size_t sample_room;
	uint64_t disorder; /* samples that are not later than the one before */
	int64_t last_event_ns;
	int64_t now_ns;
	Latency latency;
	llhttp_settings_t settings;
};

static const char usage[] =
	"historian-follow: many clients of GET /stream, and how late each sample reaches them\n"
	"\n"
	"  --url URL         http://127.0.0.1:8080\n"
	"  --followers N     clients, each with a connection and a tag (2000)\n"
	"  --workload KIND   skewed, or plant (skewed)\n"
	"  --tags N          of the workload (10000)\n"
	"  --every N         follower i has tag i * N (1)\n"
	"  --by-share        tags are drawn as messages are: frequent ones have many followers\n"
	"  --letter C        that tags begin with\n"
	"  --start NS        time of the first sample (0)\n"
	"  --quiet TIME      it ends when nothing more has come for so long (5s)\n"
	"  --output FILE     gets a line for each follower, with its tag, and one for each sample:\n"
	"                    follower, tag, time\n"
	"\n"
	"Prints \"open\" when all streams are. Exits with 0 if none ended, and all were in order.\n";

static void
fail(const char *what)
{
	fprintf(stderr, "historian-follow: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A line of the stream, without its end. */
static void
take_line(Follower *follower, const char *line, size_t length)
{
	static const char key[] = "\"time\":";
	Follow *follow = follower->follow;
	const char *found;
	int64_t time_ns;

	if (!follower->open)
	{
		follower->open = true;
		follow->open++;
	}
	if (length < 6 || memcmp(line, "data: ", 6) != 0)
		return;
	found = memmem(line, length, key, sizeof(key) - 1);
	if (found == NULL)
	{
		fprintf(stderr, "historian-follow: not a sample: %.*s\n", (int) length, line);
		exit(1);
	}
	time_ns = strtoll(found + sizeof(key) - 1, NULL, 10);
	follow->disorder += time_ns <= follower->last_ns;
	follower->last_ns = time_ns;
	latency_add(&follow->latency,
				(uint64_t) (follow->now_ns > time_ns ? follow->now_ns - time_ns : 0));
	if (follow->sample_count == follow->sample_room)
	{
		follow->sample_room = follow->sample_room * 2 + 65536;
		follow->samples = realloc(follow->samples, follow->sample_room * sizeof(Sample));
		if (follow->samples == NULL)
			fail("memory");
	}
	follow->samples[follow->sample_count++] =
		(Sample){(uint32_t) (follower - follow->follower), time_ns};
	follow->last_event_ns = follow->now_ns;
}

static int
on_body(llhttp_t *parser, const char *data, size_t length)
{
	Follower *follower = parser->data;

	if (parser->status_code != 200)
	{
		fprintf(stderr, "%.*s", (int) length, data);
		return 0;
	}
	while (length > 0)
	{
		const char *end = memchr(data, '\n', length);
		size_t part = end != NULL ? (size_t) (end - data) : length;

		if (end != NULL && follower->line_bytes == 0)
			take_line(follower, data, part);
		else
		{
			if (follower->line_bytes + part >= LINE_BYTES)
			{
				fprintf(stderr, "historian-follow: a line is too long\n");
				exit(1);
			}
			memcpy(follower->line + follower->line_bytes, data, part);
			follower->line_bytes += part;
			follower->line[follower->line_bytes] = '\0';
			if (end != NULL)
			{
				take_line(follower, follower->line, follower->line_bytes);
				follower->line_bytes = 0;
			}
		}
		if (end == NULL)
			return 0;
		data += part + 1;
		length -= part + 1;
	}
	return 0;
}

static int
on_head(llhttp_t *parser)
{
	if (parser->status_code == 200)
		return 0;
	fprintf(stderr, "historian-follow: the server answered %d: ", parser->status_code);
	return 0;
}

/* A stream has no end, so the answer was an error, whose body is on stderr by now. */
static int
on_end(llhttp_t *parser)
{
	(void) parser;
	fprintf(stderr, "\nhistorian-follow: the stream ended\n");
	exit(1);
}

static void
receive(Follower *follower)
{
	static char data[READ_BYTES];
	ssize_t n = recv(follower->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
	{
		fprintf(stderr, "historian-follow: the stream of %s ended\n", follower->tag);
		exit(1);
	}
	follower->follow->now_ns = now_ns();
	if (llhttp_execute(&follower->parser, data, (size_t) n) != HPE_OK)
	{
		fprintf(stderr, "historian-follow: %s\n", llhttp_get_error_reason(&follower->parser));
		exit(1);
	}
}

/* Sends a follower's request. */
static void
ask(Follow *follow, Follower *follower)
{
	char request[TARGET_BYTES + sizeof(follow->server.headers) + sizeof(follow->server.url)];
	int length = snprintf(request, sizeof(request),
						  "GET %s/stream?precision=ns&start=%" PRId64
						  "&tag=%s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
						  follow->server.url.prefix, follow->start_ns, follower->tag,
						  follow->server.url.authority, follow->server.headers);

	if (send(follower->fd, request, (size_t) length, MSG_NOSIGNAL) != length)
		fail("send");
}

static void
open_followers(Follow *follow, int epoll)
{
	follow->follower = calloc(follow->followers, sizeof(Follower));
	if (follow->follower == NULL)
		fail("memory");
	llhttp_settings_init(&follow->settings);
	follow->settings.on_body = on_body;
	follow->settings.on_headers_complete = on_head;
	follow->settings.on_message_complete = on_end;
	for (uint32_t i = 0; i < follow->followers; i++)
	{
		Follower *follower = &follow->follower[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = follower};

		follower->follow = follow;
		follower->last_ns = INT64_MIN;
		workload_tag_name(follow->workload,
						  follow->by_share ? workload_tag(follow->workload, i) : i * follow->every,
						  follower->tag);
		if (follow->letter != 0)
			follower->tag[0] = follow->letter;
		llhttp_init(&follower->parser, HTTP_RESPONSE, &follow->settings);
		follower->parser.data = follower;
		follower->fd = socket(follow->server.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (follower->fd < 0 || connect(follower->fd, (struct sockaddr *) &follow->server.address,
										sizeof(follow->server.address)) != 0)
			fail("connect");
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, follower->fd, &event) != 0)
			fail("epoll_ctl");
		ask(follow, follower);
	}
}

static void
run(Follow *follow)
{
	struct epoll_event events[256];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int64_t began_ns = now_ns();
	bool said = false;

	open_followers(follow, epoll);
	while (follow->sample_count == 0 || now_ns() - follow->last_event_ns < follow->quiet_ns)
	{
		int count = epoll_wait(epoll, events, 256, 100);

		if (count < 0 && errno != EINTR)
			fail("epoll_wait");
		for (int i = 0; i < count; i++)
			receive(events[i].data.ptr);
		if (follow->open < follow->followers && now_ns() - began_ns > OPEN_NS)
		{
			fprintf(stderr, "historian-follow: %u streams did not open\n",
					follow->followers - follow->open);
			exit(1);
		}
		if (follow->open == follow->followers && !said)
		{
			said = true;
			puts("open");
			fflush(stdout);
		}
	}
}

static void
write_samples(const Follow *follow)
{
	FILE *file = fopen(follow->output, "w");

	if (file == NULL)
		fail(follow->output);
	for (uint32_t i = 0; i < follow->followers; i++)
		fprintf(file, "%" PRIu32 "\t%s\n", i, follow->follower[i].tag);
	for (size_t i = 0; i < follow->sample_count; i++)
		fprintf(file, "%" PRIu32 "\t%s\t%" PRId64 "\n", follow->samples[i].follower,
				follow->follower[follow->samples[i].follower].tag, follow->samples[i].time_ns);
	if (fclose(file) != 0)
		fail(follow->output);
}

static void
report(Follow *follow)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	printf("followers=%" PRIu32 " events=%zu disorder=%" PRIu64
		   " p50_ms=%.1f p99_ms=%.1f max_ms=%.1f own_s=%.2f\n",
		   follow->followers, follow->sample_count, follow->disorder,
		   latency_percentile_ms(&follow->latency, 50), latency_percentile_ms(&follow->latency, 99),
		   latency_percentile_ms(&follow->latency, 100),
		   (double) (used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
			   (double) (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"url", required_argument, NULL, 'u'},		{"followers", required_argument, NULL, 'n'},
		{"workload", required_argument, NULL, 'w'}, {"tags", required_argument, NULL, 't'},
		{"every", required_argument, NULL, 'e'},	{"by-share", no_argument, NULL, 'b'},
		{"letter", required_argument, NULL, 'l'},	{"start", required_argument, NULL, 's'},
		{"quiet", required_argument, NULL, 'q'},	{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},			{0}};
	static const char *const workloads[] = {"skewed", "plant", NULL};
	static Follow follow = {.followers = 2000, .every = 1, .quiet_ns = 5 * NS};
	WorkloadOptions workload = {.seed = 1, .rate = 10000, .tags = 10000, .values = 1};
	const char *url = "http://127.0.0.1:8080";
	const char *name;
	int option;

	while ((option = option_next(argc, argv, options, usage, &name)) != -1)
	{
		switch (option)
		{
			case 'u':
				url = optarg;
				break;
			case 'n':
				follow.followers = (uint32_t) option_number(name, optarg, 1, 100000);
				break;
			case 'w':
				if (option_word(name, optarg, workloads) == 1)
					workload.kind = WORKLOAD_PLANT;
				break;
			case 't':
				workload.tags = (uint32_t) option_number(name, optarg, 1, WORKLOAD_MAX_TAGS);
				break;
			case 'e':
				follow.every = (uint32_t) option_number(name, optarg, 1, WORKLOAD_MAX_TAGS);
				break;
			case 'b':
				follow.by_share = true;
				break;
			case 'l':
				follow.letter = optarg[0];
				break;
			case 's':
				follow.start_ns = option_time(name, optarg);
				break;
			case 'q':
				follow.quiet_ns = (int64_t) option_seconds(name, optarg) * NS;
				break;
			case 'o':
				follow.output = optarg;
				break;
		}
	}
	if (workload.kind == WORKLOAD_PLANT)
		workload.rate = workload.tags;
	options_check(workload_check(&workload));
	options_check(!follow.by_share &&
						  (uint64_t) (follow.followers - 1) * follow.every >= workload.tags
					  ? "--followers: there are fewer tags"
					  : NULL);
	options_check(http_server_set(&follow.server, url, NULL, &(TlsFiles){0}));
	if (follow.server.tls != NULL)
		options_check("--url: historian-follow has no TLS");
	follow.workload = workload_open(&workload);
	run(&follow);
	report(&follow);
	if (follow.output != NULL)
		write_samples(&follow);
	return follow.disorder == 0 ? 0 : 1;
}
