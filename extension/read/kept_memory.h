/*
 * kept_memory.h
 *	  Memory that stays with a backend that reads.
 */
#ifndef HISTORIAN_KEPT_MEMORY_H
#define HISTORIAN_KEPT_MEMORY_H

/* Lets the C library keep up to a megabyte that is freed.  What begins to read calls this. */
extern void kept_memory_begin(void);

#endif							/* HISTORIAN_KEPT_MEMORY_H */
