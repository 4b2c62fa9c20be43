/*
 * memory.h
 *	  Allocation that never fails, and growing byte strings.
 *
 * Settings (--max-buffered-bytes, --max-connections, ..) bound all that could grow without end, far
 * below the machine's memory.  If an allocation fails all the same, the functions log that and end
 * the process.
 */
#ifndef HISTORIAND_MEMORY_H
#define HISTORIAND_MEMORY_H

#include <stdarg.h>
#include <stddef.h>

/* Call it before other threads are there: long strings shall grow without holding a loop for long. */
extern void memory_init(void);

extern void *memory_new(size_t size);	  /* zeroed */
extern void *memory_new_raw(size_t size); /* not zeroed */
/*
 * The same for a block that is written as a whole at once.  Large ones are in large pages, if the system
 * has any for programs that ask: it takes some milliseconds to make thousands of small ones.
 */
extern void *memory_new_large(size_t size);
/* Zeroed pages from the system, and back to it, past malloc(). */
extern void *memory_map(size_t size);
extern void memory_unmap(void *memory, size_t size);
extern void *memory_resize(void *old, size_t size);
extern char *memory_strdup(const char *string);

/*
 * Writes a byte to each page of a new block of a library, so that the process takes at once what is
 * counted for it.  The bound on memory is of no use if it counts what is not taken.  block may be NULL.
 */
extern void memory_occupy(void *block, size_t size);

typedef struct Bytes
{
	char *data; /* NULL while capacity is 0 */
	size_t length;
	size_t capacity;
} Bytes;

/* Makes room for that many more bytes and returns where they go; the caller adds to length. */
extern char *bytes_reserve(Bytes *bytes, size_t extra);
extern void bytes_append(Bytes *bytes, const void *data, size_t length);
extern void bytes_puts(Bytes *bytes, const char *string);
extern void bytes_printf(Bytes *bytes, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
extern void bytes_vprintf(Bytes *bytes, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* Appends a JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
extern void bytes_json_string(Bytes *bytes, const char *string, size_t length);

/* Ends the string with a NUL, which length does not count, and returns it. */
extern char *bytes_text(Bytes *bytes);

/* The same, but the caller frees the string, and bytes is empty. */
extern char *bytes_take_text(Bytes *bytes);

/* Drops the first count bytes. */
extern void bytes_consume(Bytes *bytes, size_t count);
extern void bytes_free(Bytes *bytes);

#endif /* HISTORIAND_MEMORY_H */
