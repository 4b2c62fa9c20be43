/*
 * server.h
 *	  The whole server: its loops, and how it starts and stops.
 */
#ifndef HISTORIAND_SERVER_H
#define HISTORIAND_SERVER_H

#include "base/config.h"

/*
 * Makes sure that there are file descriptors for all connections and all else: raises the process's
 * limit or, if that is not allowed, lowers max_connections.  If not even one connection would fit,
 * logs that and returns false.
 */
extern bool server_fit_descriptors(Config *config);

/*
 * Serves until a signal stops the server (signals.h) and all messages are loaded or spooled.
 * Returns the exit code: 0, or 1 if the server could not start or messages were lost.  SIGHUP
 * changes settings in *config.
 */
extern int server_run(Config *config);

#endif /* HISTORIAND_SERVER_H */
