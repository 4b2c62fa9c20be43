/*
 * service_notify.c
 *	  Tells the service manager (systemd, Type=notify) the state of the server.
 *
 * The protocol of sd_notify(3) is one datagram of text to the socket that $NOTIFY_SOCKET names: a
 * path, or after '@' an abstract name.  To write it here is less work than a dependency on
 * libsystemd.  A failure is ignored, because the service manager notices that it hears nothing.
 */
#include "service_notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
service_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = path != NULL ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void) sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &address,
				  (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

void
service_notify_alive(void)
{
	/*
	 * The service manager waits for seconds, so that this is sent with each tick, without a clock.
	 */
	if (getenv("WATCHDOG_USEC") != NULL)
		service_notify("WATCHDOG=1");
}
