/*
 * http_close.c
 *	  The end of a connection, with its reason.
 *
 * A connection is freed in its close callback.  An exchange belongs to its connection's queue until
 * it is answered and received.  If the client leaves while the route waits for an event, the
 * exchange lives on without a connection until the route answers; the answer is dropped then.
 */
#include "http/http_close.h"

#include "http/http_exchange.h"
#include "http/http_trace.h"

#include <stdlib.h>

static void on_closed(uv_handle_t *handle);

void
connection_close(HttpConnection *connection, CloseReason reason)
{
	/* Without chunks only a reset tells a client that the end of an answer is missing. */
	bool reset = connection->unframed &&
				 (exchange_first(connection) != NULL || !http_output_idle(&connection->output));
	ListLink *link;

	if (connection->life == LIFE_CLOSED)
		return;
	/* An answer that lacks its end must not look as if it were whole. */
	if (exchange_first(connection) == NULL && connection->life != LIFE_BROKEN)
		http_output_end(&connection->output);
	connection_set_life(connection, LIFE_CLOSED, reason);
	trace_closed(connection);
	turn_unqueue(&connection->task);
	if (list_linked(&connection->unflushed))
		list_remove(&connection->unflushed);
	connection->current = NULL;
	connection->exchange_count = 0;
	while ((link = list_take_first(&connection->exchanges)) != NULL)
	{
		Exchange *exchange = LIST_ITEM(link, Exchange, link);

		if (exchange->waiting && !exchange->answered)
			exchange->connection = NULL; /* http_answer() frees it */
		else
			exchange_free(exchange);
	}
	exchange_count_memory(connection);
	if (!reset || uv_tcp_close_reset(&connection->tcp, on_closed) != 0)
		uv_close((uv_handle_t *) &connection->tcp, on_closed);
}

static void
on_closed(uv_handle_t *handle)
{
	HttpConnection *connection = handle->data;
	HttpLoop *loop = connection->loop;

	list_remove(&connection->link);
	atomic_fetch_sub(loop->open_connections, 1);
	metric_add(&loop->metrics->connections_closed[connection->close_reason], 1);
	exchange_settle(connection);
	ASSERT(connection->held_bytes == 0 && connection->counted_bytes == 0);
	connection_forget_client(connection);
	quota_end(connection->quota, QUOTA_CONNECTIONS);
	quota_release(connection->quota);
	free(connection->subject);
	budget_return(loop->states, CONNECTION_STATE_BYTES);
	bytes_free(&connection->unparsed);
	bytes_free(&connection->blocked);
	http_output_free(&connection->output);
	free(connection);
}
