/*
 * http_connection.c
 *	  The state of a client's connection, and what the connections of one loop share.
 */
#include "http/http_connection.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define TO(state) (1u << (state))

void
connection_set_phase(HttpConnection *connection, Phase phase)
{
	/* The phases that may follow each. */
	static const unsigned next[] = {
		[PHASE_IDLE] = TO(PHASE_IDLE) | TO(PHASE_HEAD) | TO(PHASE_ANSWERING),
		[PHASE_HEAD] = TO(PHASE_BODY) | TO(PHASE_ANSWERING),
		[PHASE_BODY] = TO(PHASE_BODY) | TO(PHASE_BLOCKED) | TO(PHASE_ANSWERING) | TO(PHASE_IDLE),
		[PHASE_BLOCKED] = TO(PHASE_BODY) | TO(PHASE_ANSWERING) | TO(PHASE_IDLE),
		[PHASE_ANSWERING] = TO(PHASE_IDLE) | TO(PHASE_HEAD) | TO(PHASE_ANSWERING),
	};

	ASSERT((next[connection->phase] & TO(phase)) != 0);
	connection->phase = phase;
	connection->phase_start_ms = uv_now(connection->loop->uv);
}

void
connection_set_input(HttpConnection *connection, Input input)
{
	static const unsigned next[] = {
		[INPUT_PARSED] = TO(INPUT_PAUSED) | TO(INPUT_WITHHELD),
		[INPUT_PAUSED] = TO(INPUT_PARSED),
		[INPUT_WITHHELD] = TO(INPUT_PAUSED) | TO(INPUT_WITHHELD),
	};

	ASSERT((next[connection->input] & TO(input)) != 0);
	ASSERT(input == INPUT_WITHHELD || connection->phase != PHASE_BLOCKED);
	connection->input = input;
}

void
connection_set_life(HttpConnection *connection, Life life, CloseReason reason)
{
	if (life == LIFE_LAST && !connection_open(connection))
		return;
	ASSERT(life > connection->life && reason != CLOSE_NONE);
	ASSERT(life != LIFE_LINGER ||
		   (connection->life != LIFE_BROKEN && list_empty(&connection->exchanges)));
	connection->life = life;
	if (connection->close_reason == CLOSE_NONE)
		connection->close_reason = reason;
	if (life == LIFE_LINGER)
		connection->phase_start_ms = uv_now(connection->loop->uv);
}

void
connection_forget_client(HttpConnection *connection)
{
	KnownClient *known = &connection->known_client;

	principal_release(known->principal);
	quota_release(known->quota);
	if (known->header != NULL)
		explicit_bzero(known->header, known->length);
	free(known->header);
	*known = (KnownClient){0};
}

bool
connection_draining(const HttpLoop *loop)
{
	return atomic_load_explicit(loop->draining, memory_order_relaxed);
}

void
connection_flush_later(HttpConnection *connection)
{
	if (connection->life != LIFE_CLOSED && !list_linked(&connection->unflushed))
		list_append(&connection->loop->unflushed, &connection->unflushed);
}
