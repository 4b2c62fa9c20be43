/*
 * signals.c
 *	  What each signal does.  None ends the process while messages are buffered.
 */
#include "signals.h"

#include <signal.h>
#include <stddef.h>

/*
 * By default these end the process.  If they are ignored, a write fails with EFBIG instead of
 * SIGXFSZ, and with EPIPE instead of SIGPIPE.  SIGHUP is ignored until signals_watch().
 */
static const int ignored[] = {
	SIGPIPE,   SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGXFSZ, SIGHUP,
#ifdef SIGSTKFLT
	SIGSTKFLT,
#endif
};

static const struct
{
	int number;
	const char *name;
} stopping[] = {
	{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGQUIT, "SIGQUIT"}, {SIGXCPU, "SIGXCPU"}};

#define STOPPING (sizeof(stopping) / sizeof(stopping[0]))

static uv_signal_t stop_watchers[STOPPING];
static uv_signal_t reload_watcher;

static void on_stop(uv_signal_t *watcher, int number);
static void on_reload(uv_signal_t *watcher, int number);

void
signals_ignore(void)
{
	sigset_t none;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		signal(number, SIG_IGN);
	/* The parent process may have blocked signals that are handled here. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void
signals_watch(uv_loop_t *loop, const SignalHandler *handler)
{
	for (size_t i = 0; i < STOPPING; i++)
	{
		uv_signal_init(loop, &stop_watchers[i]);
		stop_watchers[i].data = (void *) handler;
		uv_signal_start(&stop_watchers[i], on_stop, stopping[i].number);
	}
	uv_signal_init(loop, &reload_watcher);
	reload_watcher.data = (void *) handler;
	uv_signal_start(&reload_watcher, on_reload, SIGHUP);
}

static void
on_stop(uv_signal_t *watcher, int number)
{
	const SignalHandler *handler = watcher->data;
	const char *name = "";

	for (size_t i = 0; i < STOPPING; i++)
	{
		if (stopping[i].number == number)
			name = stopping[i].name;
	}
	handler->on_stop(handler->argument, name);
}

static void
on_reload(uv_signal_t *watcher, int number)
{
	const SignalHandler *handler = watcher->data;

	(void) number;
	handler->on_reload(handler->argument);
}
