/*
 * metrics.h
 *	  The server's counters, and their exposition as Prometheus text.
 *
 * Each thread counts in a Metrics of its own, so that counting is one addition without a lock;
 * the exposition sums them.  The values of a label are those that this file lists; none is a tag.
 */
#ifndef HISTORIAND_METRICS_H
#define HISTORIAND_METRICS_H

#include "base/memory.h"
#include "base/principal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint64_t Counter;

typedef enum MetricRoute
{
	ROUTE_SAVE,
	ROUTE_WRITE,
	ROUTE_API,
	ROUTE_TAGS,
	ROUTE_LATEST,
	ROUTE_EXPORT,
	ROUTE_PROGRESS,
	ROUTE_STREAM,
	ROUTE_STALE,
	ROUTE_SAMPLES,
	ROUTE_SUMMARY,
	ROUTE_STATUS, /* metrics and the health routes */
	ROUTE_FILE,	  /* the page and openapi.json */
	ROUTE_OTHER,
	METRIC_ROUTES,
} MetricRoute;

typedef enum RejectReason
{
	REJECT_INVALID, /* the message is malformed */
	REJECT_TOO_LARGE,
	REJECT_BUFFER_FULL, /* counts requests: their messages were not all read */
	REJECT_DATABASE,	/* PostgreSQL refused the row */
	REJECT_SPOOL,		/* lost in a damaged spool file */
	REJECT_REASONS,
} RejectReason;

/* Why a connection was closed.  If there are several reasons, it is the first one. */
typedef enum CloseReason
{
	CLOSE_NONE,			  /* the connection is open */
	CLOSE_CLIENT,		  /* the client has ended it between its requests */
	CLOSE_CLIENT_LEFT,	  /* the client has ended it before a request was received or answered */
	CLOSE_ASKED,		  /* a request said that it is the last one, or was of HTTP/1.0 */
	CLOSE_IDLE_TIMEOUT,	  /* no request came */
	CLOSE_HEADER_TIMEOUT, /* the client was too slow: here, and in the next two cases */
	CLOSE_BODY_TIMEOUT,
	CLOSE_WRITE_TIMEOUT,
	CLOSE_TLS,			 /* the handshake or a record of TLS was wrong */
	CLOSE_INVALID,		 /* the client sent bytes that are not HTTP as it is served here */
	CLOSE_UNREAD_BODY,	 /* a request was answered without reading its body */
	CLOSE_BUFFER_FULL,	 /* a body waited too long for room */
	CLOSE_REFUSED,		 /* there are too many connections */
	CLOSE_BROKEN_ANSWER, /* a streamed answer could not be completed */
	CLOSE_STOPPING,		 /* the server stops */
	CLOSE_FAILED,		 /* reading or writing failed: a reset, for example */
	CLOSE_REASONS,
} CloseReason;

/* The limits on clients. */
typedef enum LimitKind
{
	LIMIT_CONNECTIONS,
	LIMIT_REQUESTS,
	LIMIT_MESSAGES,
	LIMIT_QUERIES,
	LIMIT_KINDS,
} LimitKind;

/* After those of names: what was refused by its address, because it has no name. */
#define LIMIT_COUNTERS (PRINCIPAL_COUNTED_NAMES + 2)

#define METRIC_STATUSES	  21
#define HISTOGRAM_BUCKETS 14

typedef struct Histogram
{
	Counter buckets[HISTOGRAM_BUCKETS + 1]; /* the last one: +Inf */
	Counter sum;							/* in the unit of the bounds times 1e-9 */
} Histogram;

typedef struct Metrics
{
	Counter messages_received; /* accepted into the buffer */
	Counter bytes_received;	   /* of request bodies, decoded */
	Counter rejected[REJECT_REASONS];
	Counter connections_opened;
	Counter connections_closed[CLOSE_REASONS];
	Counter connections_refused;
	Counter connections_timed_out;
	Histogram http_seconds[METRIC_ROUTES][METRIC_STATUSES];
	Counter streams_opened; /* of /stream */
	Counter streams_closed;
	Counter stream_events;
	Counter unauthorized;								/* requests without a token that is known */
	Counter tokens_served[PRINCIPAL_COUNTED_NAMES + 1]; /* requests, by Principal.counter */
	Counter tokens_refused[PRINCIPAL_COUNTED_NAMES + 1];
	Counter limited[LIMIT_COUNTERS][LIMIT_KINDS]; /* answered 429, by Principal.counter */

	/* counted by the writer's thread only */
	Counter messages_committed;
	Counter loads;
	Counter loads_failed;
	Counter bundle_loads;
	Counter reconnects;
	Counter messages_spooled;
	Histogram load_seconds;
	Histogram load_rows;
	Histogram lag_seconds;
} Metrics;

/* Values that are not counted, but read when the metrics are asked for. */
typedef struct MetricGauges
{
	uint64_t buffer_bytes;
	uint64_t buffer_limit_bytes;
	uint64_t request_bytes;
	uint64_t result_bytes;
	uint64_t result_limit_bytes;
	uint64_t connection_bytes;
	uint64_t oldest_age_ms;
	uint64_t spool_bytes;
	uint64_t set_aside; /* messages */
	bool database_connected;
	const char *table;
	uint64_t clients;
	bool tokens; /* are tokens asked for, and may who asks see their names? */
} MetricGauges;

/* Only the thread that owns the counter may add. */
static inline void
metric_add(Counter *counter, uint64_t amount)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
						  memory_order_relaxed);
}

extern void metric_http(Metrics *metrics, MetricRoute route, int status, uint64_t nanoseconds);

/* Time histograms take nanoseconds; count is how many events are observed at once. */
extern void metric_seconds(Histogram *histogram, uint64_t nanoseconds, uint64_t count);
extern void metric_rows(Histogram *histogram, uint64_t rows);

/* The name of a limit, as its setting has it behind "limit-". */
extern const char *metrics_limit_name(LimitKind kind);

/* The reason as a label's value. */
extern const char *metrics_close_reason(CloseReason reason);

/* Appends a label's value, escaped as the exposition format demands. */
extern void metrics_put_label(Bytes *text, const char *value);

/* Appends the text, in which the metrics of all threads are summed. */
extern void metrics_expose(Bytes *text, Metrics *const *all, int count, const MetricGauges *gauges);

#endif /* HISTORIAND_METRICS_H */
