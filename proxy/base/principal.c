/*
 * principal.c
 *	  Who makes a request: a name, and what it may do.
 *
 * Names get their counters in the order in which they are first seen, and keep them as long as the
 * process lives, so that a counter never changes its name.
 */
#include "base/principal.h"

#include "base/assert.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>

Principal principal_anyone = {.scopes = SCOPE_ALL, .counter = PRINCIPAL_COUNTED_NAMES};

static struct
{
	pthread_mutex_t lock;
	_Atomic(char *) names[PRINCIPAL_COUNTED_NAMES];
	int count;
} counters = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Finds the counter of a name, or gives it one. */
static int
find_counter(const char *name)
{
	int counter = 0;

	pthread_mutex_lock(&counters.lock);
	while (counter < counters.count && strcmp(counters.names[counter], name) != 0)
		counter++;
	if (counter == counters.count && counter < PRINCIPAL_COUNTED_NAMES)
		atomic_store(&counters.names[counters.count++], memory_strdup(name));
	pthread_mutex_unlock(&counters.lock);
	return counter;
}

const char *
principal_counter_name(int counter)
{
	return counter < PRINCIPAL_COUNTED_NAMES ? atomic_load(&counters.names[counter]) : NULL;
}

Principal *
principal_new(const char *name, unsigned scopes, const char *prefix, const char *role)
{
	Principal *principal = memory_new(sizeof(Principal));

	ASSERT(strlen(name) < PRINCIPAL_NAME_BYTES && strlen(prefix) < PRINCIPAL_PREFIX_BYTES &&
		   strlen(role) < PRINCIPAL_ROLE_BYTES);
	principal->holders = 1;
	principal->scopes = scopes;
	principal->prefix_length = strlen(prefix);
	memcpy(principal->name, name, strlen(name) + 1);
	memcpy(principal->prefix, prefix, strlen(prefix) + 1);
	memcpy(principal->role, role, strlen(role) + 1);
	principal->counter = find_counter(name);
	return principal;
}

Principal *
principal_hold(Principal *principal)
{
	if (principal != &principal_anyone)
		atomic_fetch_add_explicit(&principal->holders, 1, memory_order_relaxed);
	return principal;
}

void
principal_release(Principal *principal)
{
	if (principal == NULL || principal == &principal_anyone)
		return;
	if (atomic_fetch_sub_explicit(&principal->holders, 1, memory_order_acq_rel) == 1)
		free(principal);
}

bool
principal_equal(const Principal *a, const Principal *b)
{
	return a->scopes == b->scopes && strcmp(a->name, b->name) == 0 &&
		   strcmp(a->prefix, b->prefix) == 0 && strcmp(a->role, b->role) == 0;
}

const char *
principal_put_scopes(unsigned scopes, char *text)
{
	text[0] = '\0';
	if ((scopes & SCOPE_READ) != 0)
		strcat(text, "read");
	if ((scopes & SCOPE_WRITE) != 0)
		strcat(text, text[0] != '\0' ? ",write" : "write");
	if ((scopes & SCOPE_ADMIN) != 0)
		strcat(text, text[0] != '\0' ? ",admin" : "admin");
	return text;
}
