/*
 * signals.h
 *	  What each signal does: none ends the process while messages are buffered.
 *
 *	- SIGTERM, SIGINT, SIGQUIT, SIGXCPU: the orderly end (server.c).  Given again they change nothing:
 *	  the end has a limit of its own.
 *	- SIGHUP: the settings are read again.
 *	- All others whose default would be the end are ignored, but for those of a fault and SIGKILL.
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

/* To be called before there are threads and messages: ignores what must not end the process. */
extern void signals_ignore(void);

/* From now on the loop calls the handler, which stays the caller's. */
extern void signals_watch(uv_loop_t *loop, const SignalHandler *handler);

#endif /* HISTORIAND_SIGNALS_H */
