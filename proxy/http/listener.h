/*
 * listener.h
 *	  Sockets that listen at one address.
 */
#ifndef HISTORIAND_LISTENER_H
#define HISTORIAND_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

#define LISTENER_BACKLOG 4096

/*
 * A socket in the file system (a sockaddr_un) can be used by the process's user and group.  The file
 * of one that nobody listens on any more is replaced.
 *
 * Opens count sockets that listen at the address; the kernel spreads connections among them.  Port
 * 0 becomes the port that was chosen.  If this fails, no socket is open, and errno says why:
 * EADDRINUSE if another process listens there, including another instance of this program.
 */
extern bool listener_open(struct sockaddr_storage *address, int *sockets, int count);

#endif /* HISTORIAND_LISTENER_H */
