/*
 * tsan_openat.c
 *	  Shows ThreadSanitizer what openat() opens.
 *
 * It watches descriptors, but knows neither openat() nor the system call by which libuv closes one.  So a
 * file with the number of a connection that was closed would still be that connection to it, used by two
 * threads.  It knows open().
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

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
