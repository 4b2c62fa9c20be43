/*
 * block_pool.h
 *	  Blocks of memory of one size, each used again before the system is asked for another.
 *
 * Batches are made of them.  Their memory comes and goes each second, and a page that went back to the
 * system costs microseconds when it is written again.  The C library cannot be told which memory to keep:
 * malloc_trim() gives back all that is free between blocks in use, but nothing from the end of a thread's
 * heap.  All threads share the pool.
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
