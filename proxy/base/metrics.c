/*
 * metrics.c
 *	  The server's counters, and their exposition as Prometheus text.
 */
#include "base/metrics.h"

#include "base/config.h"

#include <stddef.h>
#include <stdlib.h>

/* Bounds in nanoseconds; the text has them in seconds. */
static const uint64_t time_bounds[HISTOGRAM_BUCKETS] = {
	100000,	  500000,	 1000000,	2500000,   5000000,	   10000000,   25000000,
	50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 10000000000,
};
static const char *const time_labels[HISTOGRAM_BUCKETS] = {
	"0.0001", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
	"0.05",	  "0.1",	"0.25",	 "0.5",	   "1",		"2.5",	"10",
};
static const uint64_t row_bounds[HISTOGRAM_BUCKETS] = {
	1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000, 3000000,
};
static const char *const row_labels[HISTOGRAM_BUCKETS] = {
	"1",	"3",	 "10",	  "30",		"100",	  "300",   "1000",
	"3000", "10000", "30000", "100000", "300000", "1e+06", "3e+06",
};

static const char *const route_names[METRIC_ROUTES] = {
	"/save",   "/write", "/api",	 "/tags",	 "/latest", "/export", "/progress",
	"/stream", "/stale", "/samples", "/summary", "status",	"file",	   "other",
};
static const char *const reason_names[REJECT_REASONS] = {
	"invalid", "too_large", "buffer_full", "database", "spool",
};
static const char *const close_names[CLOSE_REASONS] = {
	"none",			"client",		 "client_left", "asked",   "idle_timeout", "header_timeout",
	"body_timeout", "write_timeout", "tls",			"invalid", "unread_body",  "buffer_full",
	"refused",		"broken_answer", "stopping",	"failed",
};
static const char *const limit_names[LIMIT_KINDS] = {
	"connections",
	"requests",
	"messages",
	"queries",
};
/* The last one counts every status that is not listed. */
static const int statuses[METRIC_STATUSES] = {
	200, 202, 204, 207, 304, 400, 401, 403, 404, 405, 408,
	412, 413, 415, 422, 429, 431, 500, 503, 504, 0,
};

static void
observe(Histogram *histogram, const uint64_t *bounds, uint64_t value, uint64_t count)
{
	int bucket = 0;

	while (bucket < HISTOGRAM_BUCKETS && value > bounds[bucket])
		bucket++;
	metric_add(&histogram->buckets[bucket], count);
	metric_add(&histogram->sum, value * count);
}

void
metric_seconds(Histogram *histogram, uint64_t nanoseconds, uint64_t count)
{
	observe(histogram, time_bounds, nanoseconds, count);
}

void
metric_rows(Histogram *histogram, uint64_t rows)
{
	observe(histogram, row_bounds, rows, 1);
}

void
metric_http(Metrics *metrics, MetricRoute route, int status, uint64_t nanoseconds)
{
	int index = 0;

	while (index < METRIC_STATUSES - 1 && statuses[index] != status)
		index++;
	observe(&metrics->http_seconds[route][index], time_bounds, nanoseconds, 1);
}

/* Sums the counter at an offset over the metrics of all threads. */
static uint64_t
sum(Metrics *const *all, int count, size_t offset)
{
	uint64_t total = 0;

	for (int i = 0; i < count; i++)
		total += atomic_load_explicit((Counter *) ((char *) all[i] + offset), memory_order_relaxed);
	return total;
}

static void
head(Bytes *text, const char *name, const char *type, const char *help)
{
	bytes_printf(text, "# HELP historiand_%s %s\n# TYPE historiand_%s %s\n", name, help, name,
				 type);
}

static void
number(Bytes *text, const char *name, const char *type, const char *help, uint64_t value)
{
	head(text, name, type, help);
	bytes_printf(text, "historiand_%s %llu\n", name, (unsigned long long) value);
}

const char *
metrics_limit_name(LimitKind kind)
{
	return limit_names[kind];
}

const char *
metrics_close_reason(CloseReason reason)
{
	return close_names[reason];
}

void
metrics_put_label(Bytes *text, const char *value)
{
	for (; *value != '\0'; value++)
	{
		if (*value == '\n')
			bytes_puts(text, "\\n");
		else
		{
			if (*value == '"' || *value == '\\')
				bytes_puts(text, "\\");
			bytes_append(text, value, 1);
		}
	}
}

/* Appends a histogram's buckets, sum and count; labels is empty or ends with a comma. */
static void
histogram(Bytes *text, const char *name, const char *labels, Metrics *const *all, int count,
		  size_t offset, const char *const *bound_labels, double unit)
{
	uint64_t total = 0;
	size_t length = 0;

	for (int i = 0; i <= HISTOGRAM_BUCKETS; i++)
	{
		total += sum(all, count, offset + offsetof(Histogram, buckets) + i * sizeof(Counter));
		bytes_printf(text, "historiand_%s_bucket{%sle=\"%s\"} %llu\n", name, labels,
					 i < HISTOGRAM_BUCKETS ? bound_labels[i] : "+Inf", (unsigned long long) total);
	}
	while (labels[length] != '\0' && labels[length + 1] != '\0')
		length++;
	bytes_printf(text, "historiand_%s_sum%s%.*s%s %.9g\n", name, length > 0 ? "{" : "",
				 (int) length, labels, length > 0 ? "}" : "",
				 (double) sum(all, count, offset + offsetof(Histogram, sum)) * unit);
	bytes_printf(text, "historiand_%s_count%s%.*s%s %llu\n", name, length > 0 ? "{" : "",
				 (int) length, labels, length > 0 ? "}" : "", (unsigned long long) total);
}

/* Appends the durations of requests by route and status, but only of those that there were. */
static void
expose_http(Bytes *text, Metrics *const *all, int count)
{
	head(text, "http_request_duration_seconds", "histogram",
		 "A request took so long from its first byte to its answer.");
	for (int route = 0; route < METRIC_ROUTES; route++)
	{
		for (int status = 0; status < METRIC_STATUSES; status++)
		{
			size_t offset = offsetof(Metrics, http_seconds) +
							(size_t) (route * METRIC_STATUSES + status) * sizeof(Histogram);
			uint64_t requests = 0;
			Bytes labels = {0};

			for (int i = 0; i <= HISTOGRAM_BUCKETS; i++)
				requests += sum(all, count, offset + i * sizeof(Counter));
			if (requests == 0)
				continue;
			bytes_printf(&labels, "route=\"%s\",", route_names[route]);
			if (statuses[status] != 0)
				bytes_printf(&labels, "status=\"%d\",", statuses[status]);
			else
				bytes_puts(&labels, "status=\"other\",");
			histogram(text, "http_request_duration_seconds", bytes_text(&labels), all, count,
					  offset, time_labels, 1e-9);
			bytes_free(&labels);
		}
	}
}

static void
expose_closed(Bytes *text, Metrics *const *all, int count)
{
	head(text, "connections_closed_total", "counter",
		 "So many HTTP connections were closed, by reason.");
	for (int i = CLOSE_NONE + 1; i < CLOSE_REASONS; i++)
		bytes_printf(text, "historiand_connections_closed_total{reason=\"%s\"} %llu\n",
					 close_names[i],
					 (unsigned long long) sum(
						 all, count, offsetof(Metrics, connections_closed) + i * sizeof(Counter)));
}

/* How often a limit was exceeded by those who share the counter. */
static uint64_t
limited(Metrics *const *all, int count, int counter, int kind)
{
	return sum(all, count,
			   offsetof(Metrics, limited) +
				   (size_t) (counter * LIMIT_KINDS + kind) * sizeof(Counter));
}

static void
expose_limited(Bytes *text, Metrics *const *all, int count)
{
	head(text, "limited_total", "counter",
		 "So many connections and requests were refused because one client exceeded a limit on "
		 "clients, by limit.");
	for (int kind = 0; kind < LIMIT_KINDS; kind++)
	{
		uint64_t requests = 0;

		for (int i = 0; i < LIMIT_COUNTERS; i++)
			requests += limited(all, count, i, kind);
		bytes_printf(text, "historiand_limited_total{limit=\"%s\"} %llu\n", limit_names[kind],
					 (unsigned long long) requests);
	}
}

/* The same by token, but only where there was one that exceeded it. */
static void
expose_limited_tokens(Bytes *text, Metrics *const *all, int count)
{
	head(text, "token_limited_total", "counter",
		 "So many requests were refused because a token exceeded a limit on clients, by its name "
		 "and limit.");
	for (int i = 0; i <= PRINCIPAL_COUNTED_NAMES; i++)
	{
		const char *name = principal_counter_name(i);

		for (int kind = 0; kind < LIMIT_KINDS; kind++)
		{
			uint64_t requests = limited(all, count, i, kind);

			if (requests == 0)
				continue;
			bytes_puts(text, name != NULL ? "historiand_token_limited_total{token=\""
										  : "historiand_token_limited_total{other=\"true");
			metrics_put_label(text, name != NULL ? name : "");
			bytes_printf(text, "\",limit=\"%s\"} %llu\n", limit_names[kind],
						 (unsigned long long) requests);
		}
	}
}

/* Appends what concerns tokens. */
static void
expose_tokens(Bytes *text, Metrics *const *all, int count)
{
	number(text, "unauthorized_total", "counter",
		   "So many requests had no token that is known, where one was needed.",
		   sum(all, count, offsetof(Metrics, unauthorized)));
	head(text, "token_requests_total", "counter",
		 "So many requests were made with each token, by its name, and served, or refused for its "
		 "scope or prefix.");
	for (int i = 0; i <= PRINCIPAL_COUNTED_NAMES; i++)
	{
		const char *name = principal_counter_name(i);

		if (name == NULL && i < PRINCIPAL_COUNTED_NAMES)
			continue;
		for (int refused = 0; refused < 2; refused++)
		{
			size_t offset =
				refused ? offsetof(Metrics, tokens_refused) : offsetof(Metrics, tokens_served);
			uint64_t requests = sum(all, count, offset + (size_t) i * sizeof(Counter));

			/* The one without a name counts those beyond the bound, and is seldom needed. */
			if (name == NULL && requests == 0)
				continue;
			bytes_puts(text, name != NULL ? "historiand_token_requests_total{token=\""
										  : "historiand_token_requests_total{other=\"true");
			metrics_put_label(text, name != NULL ? name : "");
			bytes_printf(text, "\",result=\"%s\"} %llu\n", refused ? "refused" : "served",
						 (unsigned long long) requests);
		}
	}
}

void
metrics_expose(Bytes *text, Metrics *const *all, int count, const MetricGauges *gauges)
{
#define SUM(member) sum(all, count, offsetof(Metrics, member))
	head(text, "info", "gauge", "It is always 1; its labels say what this server is.");
	bytes_printf(text, "historiand_info{version=\"%s\",table=\"", historiand_version);
	metrics_put_label(text, gauges->table);
	bytes_puts(text, "\"} 1\n");
	number(text, "messages_received_total", "counter",
		   "So many messages were accepted into the buffer.", SUM(messages_received));
	number(text, "messages_committed_total", "counter",
		   "So many messages were committed by PostgreSQL.", SUM(messages_committed));
	number(text, "messages_spooled_total", "counter", "So many messages were written to the spool.",
		   SUM(messages_spooled));
	head(text, "rejected_total", "counter",
		 "So many messages were refused or lost, by reason; buffer_full and too_large count "
		 "requests.");
	for (int i = 0; i < REJECT_REASONS; i++)
		bytes_printf(text, "historiand_rejected_total{reason=\"%s\"} %llu\n", reason_names[i],
					 (unsigned long long) sum(all, count,
											  offsetof(Metrics, rejected) + i * sizeof(Counter)));
	number(text, "received_bytes_total", "counter",
		   "Request bodies had so many bytes when they were decoded.", SUM(bytes_received));

	number(text, "loads_total", "counter", "So many batches were committed by PostgreSQL.",
		   SUM(loads));
	number(text, "loads_failed_total", "counter",
		   "So many loads failed, and were repeated or split.", SUM(loads_failed));
	number(text, "bundle_loads_total", "counter",
		   "So many of the committed loads sent their rows in bundles.", SUM(bundle_loads));
	head(text, "load_duration_seconds", "histogram",
		 "A batch took so long from its first COPY to its end.");
	histogram(text, "load_duration_seconds", "", all, count, offsetof(Metrics, load_seconds),
			  time_labels, 1e-9);
	head(text, "load_rows", "histogram", "A batch had so many rows.");
	histogram(text, "load_rows", "", all, count, offsetof(Metrics, load_rows), row_labels, 1);
	head(text, "lag_seconds", "histogram",
		 "A message took so long from its arrival to its commit.");
	histogram(text, "lag_seconds", "", all, count, offsetof(Metrics, lag_seconds), time_labels,
			  1e-9);
	number(text, "database_reconnects_total", "counter",
		   "So many connections to PostgreSQL were made for loading, after the first.",
		   SUM(reconnects));
	number(text, "database_connected", "gauge",
		   "It is 1 while PostgreSQL takes rows, as far as is known.", gauges->database_connected);

	number(text, "buffer_bytes", "gauge",
		   "Messages that are not committed yet take so much memory.", gauges->buffer_bytes);
	number(text, "buffer_limit_bytes", "gauge",
		   "They may take so much (--max-buffered-bytes), with the requests under way.",
		   gauges->buffer_limit_bytes);
	number(text, "request_bytes", "gauge",
		   "Requests under way, short answers and names of tags take so much of the same memory.",
		   gauges->request_bytes);
	number(text, "result_bytes", "gauge",
		   "Results of PostgreSQL, and long answers made of them, take so much memory.",
		   gauges->result_bytes);
	number(text, "result_limit_bytes", "gauge", "They may take so much (--max-result-bytes).",
		   gauges->result_limit_bytes);
	number(text, "connection_bytes", "gauge",
		   "The state of the open HTTP connections takes so much memory, without their requests.",
		   gauges->connection_bytes);
	number(text, "spool_bytes", "gauge", "The spool takes so much disk space.",
		   gauges->spool_bytes);
	number(text, "set_aside_messages", "gauge",
		   "So many messages are loaded after others, because PostgreSQL may refuse some of them.",
		   gauges->set_aside);
	head(text, "oldest_unflushed_age_seconds", "gauge",
		 "The oldest message that is not committed yet is so old.");
	bytes_printf(text, "historiand_oldest_unflushed_age_seconds %.3f\n",
				 (double) gauges->oldest_age_ms / 1000.0);

	number(text, "connections_opened_total", "counter", "So many HTTP connections were accepted.",
		   SUM(connections_opened));
	expose_closed(text, all, count);
	number(text, "streams", "gauge", "So many clients of /stream there are now.",
		   SUM(streams_opened) - SUM(streams_closed));
	number(text, "stream_events_total", "counter", "So many samples were sent to them.",
		   SUM(stream_events));
	number(text, "connections_refused_total", "counter",
		   "So many HTTP connections were refused because there were --max-connections.",
		   SUM(connections_refused));
	number(text, "connections_timed_out_total", "counter",
		   "So many HTTP connections were cut off because their clients were slow.",
		   SUM(connections_timed_out));
	number(text, "clients", "gauge",
		   "Of so many clients (names and addresses) it is known what they have used lately of "
		   "the limits on clients.",
		   gauges->clients);
	expose_limited(text, all, count);
	expose_http(text, all, count);
	if (gauges->tokens)
	{
		expose_tokens(text, all, count);
		expose_limited_tokens(text, all, count);
	}
#undef SUM
}
