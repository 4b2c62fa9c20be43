/*
 * query_queue.c
 *	  A query of pg_pool.h, and the queue in which queries wait for a connection.
 */
#include "database/query_queue.h"

#include "base/memory.h"

#include <stdlib.h>

/* The comment that goes before the SQL; its form is that of sqlcommenter. */
static void
put_comment(Bytes *text, const QuerySource *source)
{
	if (source->traceparent != NULL)
		bytes_printf(text, "/*traceparent='%s'*/ ", source->traceparent);
}

/* Copies a text that is not empty. */
static char *
copy(const char *text)
{
	return text == NULL || text[0] == '\0' ? NULL : memory_strdup(text);
}

static void
take_needs(Query *query, const QuerySource *source)
{
	query->min_commit = copy(source->min_commit);
	query->lag_bounded = source->lag_bounded;
	query->hasty = source->hasty;
}

Query *
query_new(const QuerySource *source, const char *sql, int parameter_count,
		  const char *const *parameters)
{
	Query *query = memory_new(sizeof(Query));
	Bytes all = {0};

	ASSERT(parameter_count <= QUERY_MAX_PARAMETERS);
	put_comment(&all, source);
	bytes_puts(&all, sql);
	query->sql = bytes_take_text(&all);
	query->role = copy(source->role);
	query->actor = copy(source->actor);
	take_needs(query, source);
	query->parameter_count = parameter_count;
	for (int i = 0; i < parameter_count; i++)
		query->parameters[i] = memory_strdup(parameters[i]);
	return query;
}

Query *
query_new_stream(const QuerySource *source, const char *settings, const char *copy_sql)
{
	Query *query = memory_new(sizeof(Query));
	Bytes comment = {0};
	Bytes all = {0};

	put_comment(&comment, source);
	query->comment = bytes_take_text(&comment);
	query->role = copy(source->role);
	take_needs(query, source);
	/* It comes first: by that the pool knows its error (pg_pool.c). */
	if (query->role != NULL)
	{
		bytes_puts(&all, "SET LOCAL ROLE \"");
		for (const char *c = query->role; *c != '\0'; c++)
			bytes_printf(&all, *c == '"' ? "\"\"" : "%c", *c);
		bytes_puts(&all, "\"; ");
	}
	bytes_puts(&all, settings);
	bytes_puts(&all, copy_sql);
	query->sql = bytes_take_text(&all);
	return query;
}

void
query_free(Query *query)
{
	ASSERT(!list_linked(&query->link));
	for (int i = 0; i < query->parameter_count; i++)
		free(query->parameters[i]);
	free(query->sql);
	free(query->comment);
	free(query->role);
	free(query->actor);
	free(query->min_commit);
	free(query);
}

void
query_queue_init(QueryQueue *queue)
{
	list_init(&queue->queries);
}

static void
count(QueryQueue *queue, const Query *query)
{
	queue->count++;
	queue->streams += query->stream != NULL;
}

void
query_queue_append(QueryQueue *queue, Query *query)
{
	list_append(&queue->queries, &query->link);
	count(queue, query);
}

void
query_queue_prepend(QueryQueue *queue, Query *query)
{
	list_prepend(&queue->queries, &query->link);
	count(queue, query);
}

void
query_queue_remove(QueryQueue *queue, Query *query)
{
	ASSERT(queue->count > 0 && (query->stream == NULL || queue->streams > 0));
	list_remove(&query->link);
	queue->count--;
	queue->streams -= query->stream != NULL;
}

Query *
query_queue_first(const QueryQueue *queue)
{
	ListLink *link = list_first(&queue->queries);

	return link == NULL ? NULL : LIST_ITEM(link, Query, link);
}

/* How long a hasty query waits for the first connection. */
#define HASTE_MS 1000

Query *
query_queue_first_late(const QueryQueue *queue, uint64_t now_ms, bool away)
{
	for (ListLink *link = list_first(&queue->queries); link != NULL;
		 link = list_next(&queue->queries, link))
	{
		Query *query = LIST_ITEM(link, Query, link);

		if (query->deadline_ms <= now_ms ||
			(away && query->hasty && now_ms - query->queued_ms >= HASTE_MS))
			return query;
	}
	return NULL;
}

Query *
query_queue_take(QueryQueue *queue)
{
	Query *query = query_queue_first(queue);

	if (query != NULL)
		query_queue_remove(queue, query);
	return query;
}

Query *
query_queue_take_runnable(QueryQueue *queue, bool streams, bool repeated)
{
	for (ListLink *link = list_first(&queue->queries); link != NULL;
		 link = list_next(&queue->queries, link))
	{
		Query *query = LIST_ITEM(link, Query, link);

		if ((query->stream == NULL || streams) && (repeated || !query->repeated))
		{
			query_queue_remove(queue, query);
			return query;
		}
	}
	return NULL;
}
