/*
 * turn_clock.c
 *	  How long the loops of a program hold the processor from one wait for events to the next.
 *
 * To be preloaded.  The file named by TURN_CLOCK, of TURN_THREADS 8-byte numbers, gets in each the
 * longest turn of one thread in nanoseconds of processor time, which other programs on the machine
 * do not lengthen as they do the time of day.  Whoever reads it may set it back to 0.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define TURN_THREADS 64

static _Atomic uint64_t *longest;
static atomic_int threads;
static int (*wait_for_events)(int, struct epoll_event *, int, int);
static int (*wait_for_events_masked)(int, struct epoll_event *, int, int, const sigset_t *);

static void __attribute__((constructor)) start(void)
{
	const char *path = getenv("TURN_CLOCK");
	int fd = path != NULL ? open(path, O_RDWR) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0)
		map =
			mmap(NULL, TURN_THREADS * sizeof(*longest), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		longest = map;
	*(void **) &wait_for_events = dlsym(RTLD_NEXT, "epoll_wait");
	*(void **) &wait_for_events_masked = dlsym(RTLD_NEXT, "epoll_pwait");
}

static uint64_t
processor_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static void
end_turn(uint64_t since)
{
	static _Thread_local int number = -1;
	uint64_t held = processor_ns() - since;

	if (longest == NULL || since == 0)
		return;
	if (number < 0)
		number = atomic_fetch_add(&threads, 1);
	if (number < TURN_THREADS && held > atomic_load(&longest[number]))
		atomic_store(&longest[number], held);
}

static _Thread_local uint64_t since;

int
epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
	int result;

	end_turn(since);
	result = wait_for_events(fd, events, count, timeout);
	since = processor_ns();
	return result;
}

int
epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *signals)
{
	int result;

	end_turn(since);
	result = wait_for_events_masked(fd, events, count, timeout, signals);
	since = processor_ns();
	return result;
}
