/*
 * listener.h
 *	  The address that is served on, and sockets that share it.
 */
#ifndef HISTORIAND_LISTENER_H
#define HISTORIAND_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

#define LISTENER_BACKLOG 4096

/* "127.0.0.1:8080" or "[::1]:8080"; false where the address is not numeric. */
extern bool listener_parse(const char *listen, struct sockaddr_storage *address);

/*
 * Opens count sockets that listen at the address, among which the kernel spreads connections.  Port 0
 * becomes the port that was chosen.  Returns false, with errno and no socket open, where that is not
 * possible: EADDRINUSE where anybody else listens there, another instance of this program too.
 */
extern bool listener_open(struct sockaddr_storage *address, int *sockets, int count);

#endif /* HISTORIAND_LISTENER_H */
