/*
 * listener.c
 *	  Sockets that listen at one address.
 *
 * SO_REUSEPORT lets several sockets listen on one port, even sockets of another process of the same
 * user: a second server would start, and silently take half of the connections.  So the first
 * socket begins to listen without that option, which the kernel lets only one process do.  After
 * that it sets the option, and the others join it.
 */
#include "http/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

static int open_socket(struct sockaddr_storage *address, bool shared);
static bool share(int fd);

bool
listener_open(struct sockaddr_storage *address, int *sockets, int count)
{
	for (int i = 0; i < count; i++)
	{
		sockets[i] = open_socket(address, i > 0);
		if (sockets[i] < 0 || (i == 0 && count > 1 && !share(sockets[0])))
		{
			int error = errno;

			for (int j = 0; j <= i; j++)
			{
				if (sockets[j] >= 0)
					close(sockets[j]);
			}
			errno = error;
			return false;
		}
	}
	return true;
}

/* Returns a socket that listens at the address, or -1 with errno. */
static int
open_socket(struct sockaddr_storage *address, bool shared)
{
	int on = 1;
	socklen_t length =
		address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/*
	 * SO_REUSEADDR: connections of an earlier process that are still ending do not keep the port.
	 */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 && (!shared || share(fd)) &&
		bind(fd, (struct sockaddr *) address, length) == 0 && listen(fd, LISTENER_BACKLOG) == 0 &&
		getsockname(fd, (struct sockaddr *) address, &length) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
share(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0;
}
