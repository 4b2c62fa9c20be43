/*
 * shared_memory.h
 *	  The library's shared memory: one area, of which each module that asks for it has a part.
 */
#ifndef HISTORIAN_SHARED_MEMORY_H
#define HISTORIAN_SHARED_MEMORY_H

#include "postgres.h"

#include "storage/lwlock.h"

/* Is called with the part, and with the lock that guards it.  A part that is new is zero. */
typedef void (*SharedMemoryAttach) (void *part, LWLock *lock, bool is_new);

/*
 * Reserves a part for a module, which is called back when the memory is there.  Sessions that wait
 * for the lock show lock_name in pg_stat_activity.  To be called while shared_preload_libraries are
 * loaded; a library that is loaded later has no shared memory.
 */
extern void shared_memory_reserve(const char *lock_name, Size bytes, SharedMemoryAttach attach);

#endif							/* HISTORIAN_SHARED_MEMORY_H */
