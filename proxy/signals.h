/*
 * signals.h
 *	  What each signal does.  None ends the process while messages are buffered.
 *
 *	- SIGTERM, SIGINT, SIGQUIT and SIGXCPU stop the server (server.c), which takes a limited time.
 *	  Further ones change nothing.
 *	- On SIGHUP the settings are read again.
 *	- All other signals that would end the process are ignored, except SIGKILL and those of a fault.
 */
#ifndef HISTORIAND_SIGNALS_H
#define HISTORIAND_SIGNALS_H

#include <uv.h>

typedef struct SignalHandler
{
	void (*on_stop)(void *argument, const char *name);
	void (*on_reload)(void *argument);
	void *argument;
} SignalHandler;

/* Ignores signals that must not end the process.  Must be called before threads are started. */
extern void signals_ignore(void);

/* From now on the loop calls the handler, which the caller must keep. */
extern void signals_watch(uv_loop_t *loop, const SignalHandler *handler);

#endif /* HISTORIAND_SIGNALS_H */
