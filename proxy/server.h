/*
 * server.h
 *	  The whole server: its loops, and its orderly end.
 */
#ifndef HISTORIAND_SERVER_H
#define HISTORIAND_SERVER_H

#include "base/config.h"

/*
 * Sees that there are descriptors for all connections and everything else: raises the process's
 * limit or, where that is not allowed, lowers max_connections.  Returns false after logging that not
 * even one connection would fit.
 */
extern bool server_fit_descriptors(Config *config);

/*
 * Serves until a signal asks for the end (signals.h) and everything is drained.  Returns the exit
 * code: 0, or 1 where it could not start or messages were lost.  The settings that SIGHUP may change
 * are changed in *config.
 */
extern int server_run(Config *config);

#endif /* HISTORIAND_SERVER_H */
