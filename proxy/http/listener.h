/*
 * listener.h
 *	  Sockets that share the address that is served on.
 */
#ifndef HISTORIAND_LISTENER_H
#define HISTORIAND_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

#define LISTENER_BACKLOG 4096

/*
 * Opens count sockets that listen at the address, among which the kernel spreads connections.  Port 0
 * becomes the port that was chosen.  Returns false, with errno and no socket open, where that is not
 * possible: EADDRINUSE where anybody else listens there, another instance of this program too.
 */
extern bool listener_open(struct sockaddr_storage *address, int *sockets, int count);

#endif /* HISTORIAND_LISTENER_H */
