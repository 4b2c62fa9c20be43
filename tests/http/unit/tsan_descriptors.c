/*
 * tsan_descriptors.c
 *	  Shows ThreadSanitizer what openat() opens and fcntl() duplicates.
 *
 * It watches descriptors, but knows neither these nor the system call by which libuv closes one.  So a
 * file with the number of a connection that was closed would still be that connection to it, used by two
 * threads.  It knows open(), socket() and dup3().
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int
openat(int directory, const char *name, int flags, ...)
{
	char path[4096];
	mode_t mode;
	va_list arguments;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", directory, name);
	return open(path, flags, mode);
}

int
fcntl(int descriptor, int command, ...)
{
	long argument;
	int copy;
	va_list arguments;

	va_start(arguments, command);
	argument = va_arg(arguments, long);
	va_end(arguments);
	if (command != F_DUPFD_CLOEXEC)
		return (int) syscall(SYS_fcntl, descriptor, command, argument);
	copy = socket(AF_UNIX, SOCK_STREAM, 0);
	return copy < 0 ? copy : dup3(descriptor, copy, O_CLOEXEC);
}
