/*
 * block_pool.c
 *	  Blocks of memory of one size, each used again before the system is asked for another.
 */
#include "base/block_pool.h"

#include "base/memory.h"

#include <pthread.h>

/* A block that nobody uses. */
typedef struct IdleBlock
{
	struct IdleBlock *next;
} IdleBlock;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static IdleBlock *idle; /* the one returned last is first, since the processor may still have it */
static size_t idle_count;
static size_t most_idle;

void
block_pool_init(size_t most_idle_bytes)
{
	most_idle = most_idle_bytes / POOL_BLOCK_BYTES;
}

void *
block_pool_take(void)
{
	IdleBlock *block;

	pthread_mutex_lock(&lock);
	block = idle;
	if (block != NULL)
	{
		idle = block->next;
		idle_count--;
	}
	pthread_mutex_unlock(&lock);
	return block != NULL ? (void *) block : memory_map(POOL_BLOCK_BYTES);
}

void
block_pool_return(void *block)
{
	IdleBlock *returned = block;

	pthread_mutex_lock(&lock);
	if (idle_count < most_idle)
	{
		returned->next = idle;
		idle = returned;
		idle_count++;
		returned = NULL;
	}
	pthread_mutex_unlock(&lock);
	if (returned != NULL)
		memory_unmap(returned, POOL_BLOCK_BYTES);
}

void
block_pool_give_back(void)
{
	IdleBlock *block;

	pthread_mutex_lock(&lock);
	block = idle;
	idle = NULL;
	idle_count = 0;
	pthread_mutex_unlock(&lock);
	while (block != NULL)
	{
		IdleBlock *next = block->next;

		memory_unmap(block, POOL_BLOCK_BYTES);
		block = next;
	}
}
