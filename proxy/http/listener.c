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
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int open_socket(struct sockaddr_storage *address, bool shared);
static bool share(int fd);
static bool open_file_sockets(const struct sockaddr_un *address, int *sockets, int count);

bool
listener_open(struct sockaddr_storage *address, int *sockets, int count)
{
	if (address->ss_family == AF_UNIX)
		return open_file_sockets((struct sockaddr_un *) address, sockets, count);
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

/* Removes the file of a socket that nobody listens on; false with errno if there is another file. */
static bool
remove_stale(const struct sockaddr_un *address)
{
	struct stat found;
	int fd;
	int error;

	if (lstat(address->sun_path, &found) != 0)
		return errno == ENOENT;
	if (!S_ISSOCK(found.st_mode))
	{
		errno = EEXIST;
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	error =
		connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0 ? EADDRINUSE : errno;
	close(fd);
	if (error != ECONNREFUSED)
	{
		errno = error == EAGAIN ? EADDRINUSE : error; /* EAGAIN: somebody's queue is full */
		return false;
	}
	return unlink(address->sun_path) == 0 || errno == ENOENT;
}

/* One socket, which all share by descriptors of their own: the kernel wakes whoever comes first. */
static bool
open_file_sockets(const struct sockaddr_un *address, int *sockets, int count)
{
	int opened = 0;
	bool ready;
	int error;

	if (!remove_stale(address))
		return false;
	sockets[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sockets[0] < 0)
		return false;
	opened = 1;
	/* Nobody can connect before listen(), so that the file's first mode does not matter. */
	ready = bind(sockets[0], (const struct sockaddr *) address, sizeof(*address)) == 0 &&
			chmod(address->sun_path, 0660) == 0 && listen(sockets[0], LISTENER_BACKLOG) == 0;
	while (ready && opened < count)
	{
		sockets[opened] = fcntl(sockets[0], F_DUPFD_CLOEXEC, 0);
		ready = sockets[opened] >= 0;
		opened += ready ? 1 : 0;
	}
	if (ready)
		return true;
	error = errno;
	while (opened > 0)
		close(sockets[--opened]);
	errno = error;
	return false;
}
