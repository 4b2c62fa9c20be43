/*
 * http_exchange.c
 *	  The requests of a connection in order, and the memory that they hold.
 *
 * An answer whose turn has come is written straight to the connection's output.  One that is ready
 * earlier is kept in its exchange.
 */
#include "http/http_exchange.h"

#include "base/assert.h"

#include <stdlib.h>

#define MAX_EXCHANGES	  256	/* unanswered requests of one connection */
#define KEPT_BYTES		  16384 /* larger buffers are given back when they are empty */
#define KEPT_TARGET_BYTES 1024
#define KEPT_EXCHANGES	  64 /* that a loop keeps for the next requests */
#define EXCHANGE_STATE_BYTES                                                                       \
	1440 /* of a route: the size of an Intake, its waiter and a small stage */

static size_t aside_bytes(const HttpConnection *connection);

Exchange *
exchange_new(HttpConnection *connection)
{
	HttpLoop *loop = connection->loop;
	ListLink *link = stack_pop(&loop->free_exchanges);
	Exchange *exchange;

	if (link != NULL)
	{
		exchange = LIST_ITEM(link, Exchange, link);
		loop->free_exchange_count--;
	}
	else
		exchange = memory_new(sizeof(Exchange));
	http_request_reset(&exchange->request);
	exchange->loop = loop;
	exchange->connection = connection;
	exchange->route = NULL;
	exchange->principal = NULL;
	exchange->query_of = NULL;
	exchange->state = NULL;
	exchange->notes[0] = '\0';
	exchange->route_bytes = 0;
	/* The clock was read when the bytes came, or when the request before was answered. */
	exchange->started_ns = loop->turns.now_ns;
	exchange->received = false;
	exchange->answered = false;
	exchange->waiting = false;
	exchange->alone = false;
	exchange->turned = false;
	exchange->close = CLOSE_NONE;
	exchange->full = false;
	exchange->streamed = false;
	exchange->refused = false;
	exchange->awaited = false;
	exchange->invited = false;
	exchange->identified = false;
	exchange->cause[0] = '\0';
	exchange->sqlstate[0] = '\0';
	list_append(&connection->exchanges, &exchange->link);
	connection->exchange_count++;
	return exchange;
}

void
exchange_free(Exchange *exchange)
{
	HttpLoop *loop = exchange->loop;

	if (exchange->route != NULL && exchange->route->release != NULL)
		exchange->route->release(exchange);
	exchange->route = NULL;
	principal_release(exchange->principal);
	exchange->principal = NULL;
	if (exchange->query_of != NULL)
	{
		quota_end(exchange->query_of, QUOTA_QUERIES);
		quota_release(exchange->query_of);
		exchange->query_of = NULL;
	}
	if (loop->free_exchange_count == KEPT_EXCHANGES)
	{
		bytes_free(&exchange->response);
		bytes_free(&exchange->request.target);
		free(exchange);
		return;
	}
	if (exchange->response.capacity > KEPT_BYTES)
		bytes_free(&exchange->response);
	if (exchange->request.target.capacity > KEPT_TARGET_BYTES)
		bytes_free(&exchange->request.target);
	exchange->response.length = 0;
	loop->free_exchange_count++;
	stack_push(&loop->free_exchanges, &exchange->link);
}

void
exchange_advance(HttpConnection *connection)
{
	Exchange *exchange;

	while ((exchange = exchange_first(connection)) != NULL && exchange->answered &&
		   exchange->received)
	{
		Exchange *next;

		ASSERT(connection->exchange_count > 0);
		list_remove(&exchange->link);
		connection->exchange_count--;
		if (exchange->close != CLOSE_NONE)
			connection_set_life(connection, LIFE_LAST, exchange->close);
		exchange_free(exchange);
		next = exchange_first(connection);
		if (next != NULL)
		{
			/* This was formatted while others were before it. */
			bytes_append(&connection->output.pending, next->response.data, next->response.length);
			next->response.length = 0;
		}
	}
	if (exchange == NULL && connection->current == NULL)
		connection_set_phase(connection, PHASE_IDLE);
}

bool
exchange_too_early(const Exchange *exchange)
{
	return exchange->alone && exchange != exchange_first(exchange->connection);
}

bool
exchange_too_far_ahead(const HttpConnection *connection)
{
	ListLink *link = list_last(&connection->exchanges);
	const Exchange *last;
	size_t unsent = http_output_unsent(&connection->output);

	if (link == NULL)
		return unsent > EXCHANGE_MAX_OUTPUT_BYTES;
	last = LIST_ITEM(link, Exchange, link);
	if (last == connection->current && last->received)
		return exchange_too_early(last);
	if (!last->answered && last->received && last->alone)
		return true;
	/* If memory is short, requests are answered one at a time. */
	if (last->received && budget_full(connection->loop->memory))
		return true;
	return connection->exchange_count >= MAX_EXCHANGES ||
		   unsent + aside_bytes(connection) > EXCHANGE_MAX_OUTPUT_BYTES;
}

/* Bytes of answers that wait for those before them. */
static size_t
aside_bytes(const HttpConnection *connection)
{
	size_t bytes = 0;

	for (ListLink *link = list_first(&connection->exchanges); link != NULL;
		 link = list_next(&connection->exchanges, link))
		bytes += LIST_ITEM(link, Exchange, link)->response.length;
	return bytes;
}

void
exchange_count_memory(HttpConnection *connection)
{
	Budget *memory = connection->loop->memory;
	size_t bytes = connection->unparsed.capacity + connection->blocked.capacity +
				   connection->known_client.length;

	for (ListLink *link = list_first(&connection->exchanges); link != NULL;
		 link = list_next(&connection->exchanges, link))
	{
		const Exchange *exchange = LIST_ITEM(link, Exchange, link);

		bytes += sizeof(Exchange) + exchange->request.target.capacity + exchange->route_bytes +
				 (exchange->state != NULL ? EXCHANGE_STATE_BYTES : 0);
		if (connection->counted_bytes == 0)
			bytes += exchange->response.capacity;
	}
	if (connection->counted_bytes == 0)
		bytes += http_output_memory(&connection->output);
	if (connection->life == LIFE_CLOSED)
		bytes = 0;
	if (bytes > connection->held_bytes)
		budget_add(memory, bytes - connection->held_bytes);
	else if (bytes < connection->held_bytes)
		budget_return(memory, connection->held_bytes - bytes);
	connection->held_bytes = bytes;
}

void
exchange_settle(HttpConnection *connection)
{
	if (connection->counted_bytes == 0 ||
		(connection->life != LIFE_CLOSED &&
		 (!http_output_idle(&connection->output) || aside_bytes(connection) > 0)))
		return;
	budget_return(connection->loop->results, connection->counted_bytes);
	connection->counted_bytes = 0;
}

bool
http_turn_over(Exchange *exchange)
{
	HttpConnection *connection = exchange->connection;

	exchange->turned = turn_slice_over(&connection->loop->turns);
	return exchange->turned;
}

void
exchange_offer_room(HttpConnection *connection)
{
	Exchange *exchange = exchange_first(connection);

	if (exchange == NULL || !exchange->full ||
		http_output_unsent(&connection->output) > EXCHANGE_MAX_STREAM_BYTES / 2)
		return;
	exchange->full = false;
	exchange->route->drained(exchange);
}
