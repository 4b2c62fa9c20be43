/*
 * route_stream.c
 *	  GET /stream: committed samples of some tags as Server-Sent Events.
 *
 * What a client gets is read from the table: so it is committed, whoever committed it, and a client
 * that comes back after any restart goes on by the times of the last samples that it has got, which
 * the id of each event has.
 *
 * A loop reads for all its clients together, in rounds: after each commit of this process, and each
 * POLL_MS for the commits of others.  A round is one query for some tags of one role.  A tag that
 * clients follow is a feed, whose head is the time up to which it was read for all of them.  A client
 * that is behind the head, because it resumes or because it took too little, is read for alone until
 * it has caught up.  So it costs the others no delay, and no memory: what it does not take stays in
 * the table.
 */
#include "routes/route_stream.h"

#include "base/assert.h"
#include "base/config.h"
#include "http/http_answer.h"
#include "http/http_close.h"
#include "routes/query.h"
#include "routes/routes.h"

#include <llhttp.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TAGS	 50	  /* Last-Event-ID has room for their times */
#define MOST_ROWS	 1000 /* of a tag in a round; SQL has the number, too */
#define MOST_FEEDS	 100  /* in a round: other queries wait for it, some milliseconds */
#define MOST_LAGGING 64	  /* clients in a round that are read for alone */
#define POLL_MS		 1000
#define AWAIT_MS	 1250 /* after a commit of this process another one is awaited, and not polled */
#define SHORTEST_MS	 10	  /* from one round to the next */
#define LONGEST_MS	 1000
#define HEARTBEAT_MS 15000
#define LEFT_MS		 1000 /* the same for a client that sends no more: has it left? */
#define BUCKETS		 4096
#define KEPT_BYTES	 65536 /* of buffers; larger ones are given back after a round */

typedef struct Feed Feed;
typedef struct Live Live;

/* A client's interest in a tag. */
typedef struct Follow
{
	ListLink link; /* in Feed.follows */
	Feed *feed;	   /* NULL until the client has joined */
	Live *live;
	int64_t position; /* the time of the last sample that the client has got */
	bool lagging;	  /* is read for alone */
} Follow;

/* A tag that clients follow in one role. */
struct Feed
{
	ListLink link; /* in Hub.feeds */
	Feed *next;	   /* in its bucket */
	char *role;
	char *tag;
	int64_t head;
	List follows;
	bool due; /* is to be read in a round */
};

/* A client. */
struct Live
{
	QueryParameters parameters; /* must be first: query.c takes the state for them */
	ListLink link;				/* in Hub.lives, after it has joined */
	Exchange *exchange;
	Follow *follows; /* of each tag */
	char **tags;
	int count;
	bool joined;
	bool full;		  /* it has to take what it got, before it gets more */
	uint64_t full_ms; /* since when */
	uint64_t sent_ms;
};

/* What a round reads: a feed from its head on, or for one client that lags. */
typedef struct Element
{
	Feed *feed;		/* NULL: nobody wants it any more */
	Follow *follow; /* NULL: for all that do not lag */
	int rows;
} Element;

/* The live streams of a loop. */
typedef struct Hub
{
	Loop *loop;
	List lives; /* of Live.link */
	List feeds; /* of Feed.link */
	Feed *buckets[BUCKETS];
	uv_timer_t timer; /* to the next round */
	PgQuery *round;	  /* NULL: none is under way */
	Element *elements;
	int element_count;
	uint64_t started_ms;
	uint64_t next_ms;	   /* no round begins before that */
	uint64_t committed_ms; /* the last commit of this process */
	/* The sample that is being sent, which many clients get alike: its line of data in their form, ... */
	Bytes data;
	TimeForm data_form;
	int64_t data_unit_ns;
	Bytes event; /* ... and the event of one of them. */
} Hub;

static bool stream_end(Exchange *exchange);
static void stream_release(Exchange *exchange);
static void stream_drained(Exchange *exchange);

const Route route_stream = {
	.path = "/stream",
	.metric = ROUTE_STREAM,
	.access = ACCESS_READ,
	.alone = true,
	.end = stream_end,
	.release = stream_release,
	.drained = stream_drained,
};

static bool read_positions(Exchange *exchange, Live *live);
static void on_latest(void *argument, const QueryOutcome *outcome);
static void join(Live *live);
static void leave(Live *live);
static void schedule(Hub *hub);
static void on_timer(uv_timer_t *timer);
static void begin_round(Hub *hub);
static size_t on_row(void *argument, const PGresult *row);
static void on_round(void *argument, const QueryOutcome *outcome);

static Hub *
hub_of(Loop *loop)
{
	Hub *hub = loop->live;

	if (hub != NULL)
		return hub;
	hub = memory_new(sizeof(Hub));
	hub->loop = loop;
	list_init(&hub->lives);
	list_init(&hub->feeds);
	uv_timer_init(loop->http.uv, &hub->timer);
	hub->timer.data = hub;
	loop->live = hub;
	return hub;
}

/*
 * Requests
 */

/* Keeps the tags, which the parameters have as the text of an array alone. */
static bool
take_tags(Exchange *exchange, Live *live)
{
	size_t position = 0;
	Bytes name = {0};
	Bytes value = {0};
	bool valid;

	live->follows = memory_new(sizeof(Follow) * (size_t) live->parameters.tag_count);
	live->tags = memory_new(sizeof(char *) * (size_t) live->parameters.tag_count);
	while (http_request_parameter(&exchange->request, &position, &name, &value, &valid))
	{
		bool twice = false;

		if (strcmp(name.data, "tag") != 0)
			continue;
		for (int i = 0; i < live->count; i++)
			twice |= strcmp(live->tags[i], value.data) == 0;
		if (twice)
			continue;
		live->follows[live->count].live = live;
		live->follows[live->count].position = INT64_MIN;
		live->tags[live->count++] = memory_strdup(value.data);
	}
	bytes_free(&name);
	bytes_free(&value);
	if (live->count <= MOST_TAGS)
		return true;
	http_problem(exchange, 400, "a stream has at most %d tags", MOST_TAGS);
	return false;
}

static bool
stream_end(Exchange *exchange)
{
	Loop *loop = loop_of(exchange);
	Live *live = memory_new(sizeof(Live));
	const char *arguments[2];

	exchange->state = live;
	live->exchange = exchange;
	if (!query_parameters_read(exchange, &live->parameters,
							   QUERY_TAGS | QUERY_START | QUERY_TIME | QUERY_PRECISION))
		return true;
	if (live->parameters.tag_count == 0)
	{
		http_problem(exchange, 400, "parameter \"tag\" is missing");
		return true;
	}
	if (!take_tags(exchange, live))
		return true;
	if (exchange->request.last_event_id[0] != '\0' || live->parameters.start != NULL)
	{
		if (read_positions(exchange, live))
			join(live);
		return true;
	}
	arguments[0] = loop->shared->config->table_sql;
	arguments[1] = live->parameters.tag_array.data;
	query_submit(exchange, "SELECT tag, time FROM historian.latest($1::text::regclass, $2::text[])",
				 2, arguments, NULL, on_latest);
	return true;
}

/* Finds where the client goes on.  If that cannot be understood, answers 400 and returns false. */
static bool
read_positions(Exchange *exchange, Live *live)
{
	char *id = exchange->request.last_event_id;
	int count = 0;

	if (id[0] == '\0')
	{
		if (!query_read_window(exchange, &live->parameters, true))
			return false;
		for (int i = 0; i < live->count && live->parameters.start_ns > INT64_MIN; i++)
			live->follows[i].position = live->parameters.start_ns - 1;
		return true;
	}
	for (char *rest = id; rest != NULL; count++)
	{
		char *comma = strchr(rest, ',');

		if (comma != NULL)
			*comma = '\0';
		if (count == live->count || !query_integer(rest, &live->follows[count].position))
			break;
		rest = comma != NULL ? comma + 1 : NULL;
		if (rest == NULL && count + 1 == live->count)
			return true;
	}
	http_problem(exchange, 400, "Last-Event-ID is none of a stream of these tags");
	return false;
}

/* The stream begins after the samples that there are. */
static void
on_latest(void *argument, const QueryOutcome *outcome)
{
	Exchange *exchange = argument;
	Live *live = exchange->state;

	if (outcome->result == NULL)
	{
		query_answer_failure(exchange, outcome);
		return;
	}
	for (int row = 0; row < PQntuples(outcome->result); row++)
	{
		for (int i = 0; i < live->count; i++)
		{
			if (strcmp(live->tags[i], PQgetvalue(outcome->result, row, 0)) == 0)
				query_integer(PQgetvalue(outcome->result, row, 1), &live->follows[i].position);
		}
	}
	join(live);
}

static void
stream_release(Exchange *exchange)
{
	Live *live = exchange->state;

	if (live == NULL)
		return;
	leave(live);
	for (int i = 0; i < live->count; i++)
		free(live->tags[i]);
	free(live->tags);
	free(live->follows);
	query_parameters_free(&live->parameters);
	free(live);
	exchange->state = NULL;
}

static void
stream_drained(Exchange *exchange)
{
	Live *live = exchange->state;

	live->full = false;
	for (int i = 0; i < live->count; i++)
		live->follows[i].feed->due = true;
	schedule(hub_of(loop_of(exchange)));
}

/* Sends to a client, and notes whether it has to take that before it gets more. */
static void
send_to(Live *live, const char *data, size_t length)
{
	live->sent_ms = uv_now(loop_of(live->exchange)->http.uv);
	if (http_stream_send(live->exchange, data, length))
		return;
	live->full = true;
	live->full_ms = live->sent_ms;
}

/*
 * Clients and feeds
 */

static uint32_t
bucket_of(const char *role, const char *tag)
{
	uint32_t hash = 2166136261u;

	for (; *role != '\0'; role++)
		hash = (hash ^ (unsigned char) *role) * 16777619u;
	for (; *tag != '\0'; tag++)
		hash = (hash ^ (unsigned char) *tag) * 16777619u;
	return hash % BUCKETS;
}

static Feed *
feed_of(Hub *hub, const char *role, const char *tag)
{
	Feed **bucket = &hub->buckets[bucket_of(role, tag)];
	Feed *feed = *bucket;

	while (feed != NULL && (strcmp(feed->tag, tag) != 0 || strcmp(feed->role, role) != 0))
		feed = feed->next;
	if (feed != NULL)
		return feed;
	feed = memory_new(sizeof(Feed));
	feed->role = memory_strdup(role);
	feed->tag = memory_strdup(tag);
	list_init(&feed->follows);
	feed->next = *bucket;
	*bucket = feed;
	list_append(&hub->feeds, &feed->link);
	return feed;
}

static void
feed_free(Hub *hub, Feed *feed)
{
	Feed **at = &hub->buckets[bucket_of(feed->role, feed->tag)];

	for (int i = 0; i < hub->element_count; i++)
	{
		if (hub->elements[i].feed == feed)
			hub->elements[i].feed = NULL;
	}
	while (*at != feed)
		at = &(*at)->next;
	*at = feed->next;
	list_remove(&feed->link);
	free(feed->role);
	free(feed->tag);
	free(feed);
}

/* Begins the answer, and follows the tags. */
static void
join(Live *live)
{
	Exchange *exchange = live->exchange;
	Loop *loop = loop_of(exchange);
	Hub *hub = hub_of(loop);

	http_stream_begin(exchange, "text/event-stream",
					  "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
	if (exchange->request.method == HTTP_HEAD)
	{
		http_stream_end(exchange);
		return;
	}
	for (int i = 0; i < live->count; i++)
	{
		Follow *follow = &live->follows[i];
		Feed *feed = feed_of(hub, exchange->principal->role, live->tags[i]);

		if (list_empty(&feed->follows))
			feed->head = follow->position;
		follow->feed = feed;
		follow->lagging = follow->position < feed->head;
		list_append(&feed->follows, &follow->link);
		feed->due = true;
	}
	list_append(&hub->lives, &live->link);
	live->joined = true;
	metric_add(&loop->metrics.streams_opened, 1);
	/* The client sees at once that the stream is open. */
	send_to(live, ":\n\n", 3);
	schedule(hub);
}

static void
leave(Live *live)
{
	Hub *hub = hub_of(loop_of(live->exchange));

	if (!live->joined)
		return;
	list_remove(&live->link);
	metric_add(&hub->loop->metrics.streams_closed, 1);
	for (int i = 0; i < live->count; i++)
	{
		Follow *follow = &live->follows[i];

		for (int j = 0; j < hub->element_count; j++)
		{
			if (hub->elements[j].follow == follow)
				hub->elements[j].feed = NULL;
		}
		list_remove(&follow->link);
		if (list_empty(&follow->feed->follows))
			feed_free(hub, follow->feed);
	}
}

/*
 * Rounds
 */

static void
all_due(Hub *hub)
{
	for (ListLink *link = list_first(&hub->feeds); link != NULL;
		 link = list_next(&hub->feeds, link))
		LIST_ITEM(link, Feed, link)->due = true;
}

void
route_stream_wake(Loop *loop)
{
	Hub *hub = loop->live;

	if (hub == NULL)
		return;
	hub->committed_ms = uv_now(loop->http.uv);
	all_due(hub);
	schedule(hub);
}

/*
 * Ends the connection of a client that has been full for --write-timeout: it takes less than half of
 * what is held for it in that time.  Returns whether it did.
 */
static bool
drop_slow(Live *live, uint64_t now_ms)
{
	HttpConnection *connection = live->exchange->connection;

	if (!live->full || now_ms - live->full_ms <= connection->loop->config->write_timeout_ms)
		return false;
	metric_add(&connection->loop->metrics->connections_timed_out, 1);
	connection_close(connection, CLOSE_WRITE_TIMEOUT);
	return true;
}

/* A round for the commits of others is due, unless one for the next commit of this process will do. */
static bool
is_poll_due(const Hub *hub, uint64_t now_ms)
{
	return hub->round == NULL && now_ms - hub->started_ms >= POLL_MS &&
		   now_ms - hub->committed_ms >= AWAIT_MS;
}

void
route_stream_tick(Loop *loop)
{
	Hub *hub = loop->live;
	uint64_t now_ms = uv_now(loop->http.uv);
	bool draining = atomic_load(&loop->shared->draining);
	ListLink *next;

	if (hub == NULL)
		return;
	for (ListLink *link = list_first(&hub->lives); link != NULL; link = next)
	{
		Live *live = LIST_ITEM(link, Live, link);

		next = list_next(&hub->lives, link);
		if (draining)
			http_stream_end(live->exchange);
		else if (!drop_slow(live, now_ms) && !live->full &&
				 now_ms - live->sent_ms >=
					 (live->exchange->connection->ended ? LEFT_MS : HEARTBEAT_MS))
			send_to(live, ":\n\n", 3);
	}
	if (is_poll_due(hub, now_ms))
	{
		all_due(hub);
		schedule(hub);
	}
}

/* Has the next round begin as soon as it may, unless one is under way. */
static void
schedule(Hub *hub)
{
	uint64_t now_ms = uv_now(hub->loop->http.uv);

	if (hub->round != NULL || uv_is_active((uv_handle_t *) &hub->timer))
		return;
	uv_timer_start(&hub->timer, on_timer, hub->next_ms > now_ms ? hub->next_ms - now_ms : 0, 0);
}

static void
on_timer(uv_timer_t *timer)
{
	Hub *hub = timer->data;

	if (hub->round == NULL)
		begin_round(hub);
}

/* Adds what is to be read of a feed to the round; returns whether all of that had room. */
static bool
add_elements(Hub *hub, Feed *feed, int *lagging)
{
	bool heads = false;
	bool all = true;

	for (ListLink *link = list_first(&feed->follows); link != NULL;
		 link = list_next(&feed->follows, link))
	{
		Follow *follow = LIST_ITEM(link, Follow, link);

		if (!follow->lagging)
			heads |= !follow->live->full;
		else if (!follow->live->full && *lagging == MOST_LAGGING)
			all = false;
		else if (!follow->live->full)
		{
			hub->elements[hub->element_count++] = (Element){feed, follow, 0};
			++*lagging;
		}
	}
	if (heads)
		hub->elements[hub->element_count++] = (Element){feed, NULL, 0};
	return all;
}

/*
 * Puts what a round reads behind the others, which so come first in the next one.  Otherwise the feeds of
 * one role, which each commit makes due again, would keep those of another waiting for as long as commits
 * come one after the other.
 */
static void
put_last(Hub *hub)
{
	for (int i = 0; i < hub->element_count; i++)
	{
		Feed *feed = hub->elements[i].feed;
		Follow *follow = hub->elements[i].follow;

		list_remove(&feed->link);
		list_append(&hub->feeds, &feed->link);
		if (follow == NULL)
			continue;
		list_remove(&follow->link);
		list_append(&feed->follows, &follow->link);
	}
}

static void
begin_round(Hub *hub)
{
	Loop *loop = hub->loop;
	const char *role = NULL;
	int lagging = 0;
	Bytes sql = {0};
	Bytes tags = {0};
	Bytes times = {0};
	const char *arguments[2];

	if (hub->elements == NULL)
		hub->elements = memory_new(sizeof(Element) * (MOST_FEEDS + MOST_LAGGING));
	hub->element_count = 0;
	for (ListLink *link = list_first(&hub->feeds); link != NULL && hub->element_count < MOST_FEEDS;
		 link = list_next(&hub->feeds, link))
	{
		Feed *feed = LIST_ITEM(link, Feed, link);

		if (!feed->due || (role != NULL && strcmp(role, feed->role) != 0))
			continue;
		feed->due = !add_elements(hub, feed, &lagging);
		if (hub->element_count > 0)
			role = feed->role;
	}
	if (hub->element_count == 0)
		return;
	put_last(hub);
	for (int i = 0; i < hub->element_count; i++)
	{
		const Element *element = &hub->elements[i];

		query_array_add(&tags, element->feed->tag, strlen(element->feed->tag));
		bytes_printf(&times, "%s%lld", i == 0 ? "{" : ",",
					 (long long) (element->follow != NULL ? element->follow->position
														  : element->feed->head));
	}
	bytes_puts(&times, "}");
	bytes_printf(&sql,
				 "SELECT e.n, s.time, s.values FROM unnest($1::text[], $2::int8[]) "
				 "WITH ORDINALITY AS e(tag, position, n) CROSS JOIN LATERAL "
				 "(SELECT m.time, m.values FROM %s m WHERE m.tag = e.tag AND m.time > e.position "
				 "ORDER BY m.time LIMIT %d) s",
				 loop->shared->config->table_sql, MOST_ROWS);
	arguments[0] = bytes_text(&tags);
	arguments[1] = bytes_text(&times);
	hub->started_ms = uv_now(loop->http.uv);
	hub->round = pg_pool_submit(loop->pool, &(QuerySource){.role = role}, bytes_text(&sql), 2,
								arguments, on_row, on_round, hub);
	/* With too many queries in the queue the feeds are read with the next poll. */
	if (hub->round == NULL)
		hub->element_count = 0;
	bytes_free(&sql);
	bytes_free(&tags);
	bytes_free(&times);
}

/* Writes the line of data of a sample, unless it is there already, in the form that the client wants. */
static void
put_data(Hub *hub, const Follow *follow, const PGresult *row, int64_t time_ns)
{
	const QueryParameters *parameters = &follow->live->parameters;
	Bytes *data = &hub->data;

	if (data->length > 0 && hub->data_form == parameters->time_form &&
		hub->data_unit_ns == parameters->times.unit_ns)
		return;
	hub->data_form = parameters->time_form;
	hub->data_unit_ns = parameters->times.unit_ns;
	data->length = 0;
	bytes_puts(data, "\ndata: {\"tag\":");
	bytes_json_string(data, follow->feed->tag, strlen(follow->feed->tag));
	bytes_puts(data, ",\"time\":");
	query_put_time_ns(data, parameters, time_ns);
	bytes_puts(data, ",\"values\":");
	if (PQgetisnull(row, 0, 2))
		bytes_puts(data, "null");
	else
		query_put_values(data, PQgetvalue(row, 0, 2), (size_t) PQgetlength(row, 0, 2));
	bytes_puts(data, "}\n\n");
}

/* Sends a sample to a client; the id is its positions after it. */
static void
send_sample(Hub *hub, Follow *follow, const PGresult *row, int64_t time_ns)
{
	Live *live = follow->live;
	Bytes *event = &hub->event;

	follow->position = time_ns;
	put_data(hub, follow, row, time_ns);
	event->length = 0;
	bytes_puts(event, "id: ");
	for (int i = 0; i < live->count; i++)
		bytes_printf(event, i == 0 ? "%lld" : ",%lld", (long long) live->follows[i].position);
	bytes_append(event, hub->data.data, hub->data.length);
	send_to(live, event->data, event->length);
	metric_add(&hub->loop->metrics.stream_events, 1);
}

static size_t
on_row(void *argument, const PGresult *row)
{
	Hub *hub = argument;
	int64_t number = 0;
	int64_t time_ns = 0;
	Element *element;

	query_integer(PQgetvalue(row, 0, 0), &number);
	query_integer(PQgetvalue(row, 0, 1), &time_ns);
	ASSERT(number >= 1 && number <= hub->element_count);
	element = &hub->elements[number - 1];
	if (element->feed == NULL)
		return 0;
	element->rows++;
	hub->data.length = 0; /* that of another sample */
	if (element->follow != NULL)
	{
		if (!element->follow->live->full)
			send_sample(hub, element->follow, row, time_ns);
		return 0;
	}
	for (ListLink *link = list_first(&element->feed->follows); link != NULL;
		 link = list_next(&element->feed->follows, link))
	{
		Follow *follow = LIST_ITEM(link, Follow, link);

		if (follow->lagging || time_ns <= follow->position)
			continue;
		if (follow->live->full)
			follow->lagging = true;
		else
			send_sample(hub, follow, row, time_ns);
	}
	element->feed->head = time_ns;
	return 0;
}

/*
 * A client that was read for alone has all that the query could see if there were fewer rows than it
 * may return, and goes on with the others.
 */
static void
settle(Hub *hub)
{
	for (int i = 0; i < hub->element_count; i++)
	{
		const Element *element = &hub->elements[i];
		Follow *follow = element->follow;

		if (element->feed == NULL)
			continue;
		element->feed->due |= element->rows == MOST_ROWS;
		if (follow == NULL || element->rows == MOST_ROWS || follow->live->full)
			continue;
		follow->lagging = false;
		/* Nothing is between them, but something may come, where the head is a time that a client has named. */
		if (follow->position < element->feed->head)
			element->feed->head = follow->position;
	}
}

/* Are the streams to be told of the failure?  Otherwise it is PostgreSQL's absence, or passes. */
static bool
is_lasting(const QueryOutcome *outcome)
{
	const char *state = outcome->sqlstate;

	return outcome->limit == 0 && (strncmp(state, "42", 2) == 0 || strncmp(state, "3F", 2) == 0 ||
								   strncmp(state, "3D", 2) == 0);
}

/* Ends the streams that the round was for with an event that says why. */
static void
fail(Hub *hub, const QueryOutcome *outcome)
{
	Bytes event = {0};

	bytes_puts(&event, "event: error\ndata: {\"detail\":");
	bytes_json_string(&event, outcome->message, strlen(outcome->message));
	bytes_printf(&event, ",\"sqlstate\":\"%s\"}\n\n", outcome->sqlstate);
	for (int i = 0; i < hub->element_count; i++)
	{
		Feed *feed;

		/* the end of a stream leaves its feeds, and the last one frees the feed */
		while ((feed = hub->elements[i].feed) != NULL)
		{
			ListLink *first = list_first(&feed->follows);
			Exchange *exchange;

			ASSERT(first != NULL);
			exchange = LIST_ITEM(first, Follow, link)->live->exchange;
			http_stream_send(exchange, event.data, event.length);
			http_stream_end(exchange);
		}
	}
	bytes_free(&event);
}

static void
on_round(void *argument, const QueryOutcome *outcome)
{
	Hub *hub = argument;
	uint64_t now_ms = uv_now(hub->loop->http.uv);
	uint64_t pause_ms = now_ms - hub->started_ms; /* so streams take half of a process at most */

	hub->round = NULL;
	if (outcome->result != NULL)
		settle(hub);
	else if (is_lasting(outcome))
		fail(hub, outcome);
	if (outcome->result == NULL || pause_ms > LONGEST_MS)
		pause_ms = LONGEST_MS;
	if (pause_ms < SHORTEST_MS)
		pause_ms = SHORTEST_MS;
	hub->element_count = 0;
	if (hub->data.capacity + hub->event.capacity > KEPT_BYTES)
	{
		bytes_free(&hub->data);
		bytes_free(&hub->event);
	}
	hub->next_ms = now_ms + pause_ms;
	for (ListLink *link = list_first(&hub->feeds); link != NULL;
		 link = list_next(&hub->feeds, link))
	{
		if (LIST_ITEM(link, Feed, link)->due || outcome->result == NULL)
		{
			schedule(hub);
			break;
		}
	}
}
