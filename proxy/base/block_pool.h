/*
 * block_pool.h
 *	  Blocks of memory of one size, each used again before the system is asked for another.
 *
 * Batches are made of them: their memory comes and goes each second, and a page that the system takes
 * back costs microseconds when it is written again.  malloc() would give back what lies between others,
 * and keep what lies at the end.  All threads share the pool.
 */
#ifndef HISTORIAND_BLOCK_POOL_H
#define HISTORIAND_BLOCK_POOL_H

#include <stddef.h>

#define POOL_BLOCK_BYTES ((size_t) 256 * 1024)

/* Call it before other threads are there; without it nothing is kept. */
extern void block_pool_init(size_t most_idle_bytes);

/* Its contents are undefined. */
extern void *block_pool_take(void);
extern void block_pool_return(void *block);
/* Gives the idle blocks to the system.  For a gigabyte that takes some milliseconds. */
extern void block_pool_give_back(void);

#endif /* HISTORIAND_BLOCK_POOL_H */
