/*
 * shared_memory.h
 *	  The library's shared memory: one area, with a part for each module that reserves one.
 */
#ifndef HISTORIAN_SHARED_MEMORY_H
#define HISTORIAN_SHARED_MEMORY_H

#include "postgres.h"

#include "storage/lwlock.h"

/* Receives a module's part, and the lock that guards it.  A new part is zero. */
typedef void (*SharedMemoryAttach) (void *part, LWLock *lock, bool is_new);

/*
 * Reserves a part for a module, and calls attach once the memory exists.  Sessions that wait for
 * the lock show lock_name in pg_stat_activity.  Call while shared_preload_libraries are loaded: a
 * library that is loaded later has no shared memory.
 */
extern void shared_memory_reserve(const char *lock_name, Size bytes, SharedMemoryAttach attach);

#endif							/* HISTORIAN_SHARED_MEMORY_H */
