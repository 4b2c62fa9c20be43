/*
 * memory.c
 *	  Allocation that never fails, and growing byte strings.
 */
#include "base/memory.h"

#include "base/log.h"
#include "base/utf8.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_PAGE_BYTES (2 << 20)
#define PAGE_BYTES		 4096 /* the smallest page of the machines that Debian runs on */

/*
 * A block from this size on is a mapping of its own, which grows by moving page tables.  A smaller one
 * grows by copying, and 4 MB take some milliseconds at worst.  The C library would raise this to 32 MB
 * by itself.
 */
#define MAPPED_BYTES (4 << 20)

/* That much free memory is kept at the end of a heap: the C library's own greatest value. */
#define KEPT_BYTES (64 << 20)

static void *
checked(void *memory, size_t size)
{
	if (memory == NULL && size > 0)
	{
		log_error("out of memory: %zu bytes asked for", size);
		exit(1);
	}
	return memory;
}

void
memory_init(void)
{
	mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
	mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

void *
memory_new(size_t size)
{
	return checked(calloc(1, size), size);
}

void *
memory_new_raw(size_t size)
{
	return checked(malloc(size), size);
}

void *
memory_new_large(size_t size)
{
	size_t pages = (size + LARGE_PAGE_BYTES - 1) / LARGE_PAGE_BYTES;
	void *memory;

	if (size < LARGE_PAGE_BYTES / 2)
		return memory_new_raw(size);
	memory = checked(aligned_alloc(LARGE_PAGE_BYTES, pages * LARGE_PAGE_BYTES), size);
	/* without large pages it is as any other block */
	(void) madvise(memory, pages * LARGE_PAGE_BYTES, MADV_HUGEPAGE);
	return memory;
}

void *
memory_map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		memory = NULL;
	return checked(memory, size);
}

/* The kernel refuses where the process has as many mappings as it may have: the pages, at least, go back. */
void
memory_unmap(void *memory, size_t size)
{
	if (munmap(memory, size) != 0)
		(void) madvise(memory, size, MADV_DONTNEED);
}

void *
memory_resize(void *old, size_t size)
{
	return checked(realloc(old, size), size);
}

char *
memory_strdup(const char *string)
{
	return checked(strdup(string), 1);
}

void
memory_occupy(void *block, size_t size)
{
	volatile char *bytes = block;

	if (block == NULL)
		return;
	for (size_t i = 0; i < size; i += PAGE_BYTES)
		bytes[i] = 0;
}

char *
bytes_reserve(Bytes *bytes, size_t extra)
{
	if (bytes->capacity - bytes->length < extra)
	{
		size_t capacity = bytes->capacity < 64 ? 64 : bytes->capacity;

		while (capacity - bytes->length < extra)
			capacity *= 2;
		bytes->data = memory_resize(bytes->data, capacity);
		bytes->capacity = capacity;
	}
	return bytes->data + bytes->length;
}

void
bytes_append(Bytes *bytes, const void *data, size_t length)
{
	if (length == 0)
		return;
	memcpy(bytes_reserve(bytes, length), data, length);
	bytes->length += length;
}

void
bytes_puts(Bytes *bytes, const char *string)
{
	bytes_append(bytes, string, strlen(string));
}

void
bytes_printf(Bytes *bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	bytes_vprintf(bytes, format, args);
	va_end(args);
}

void
bytes_vprintf(Bytes *bytes, const char *format, va_list args)
{
	va_list again;
	int length;

	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	if (length > 0)
	{
		vsnprintf(bytes_reserve(bytes, (size_t) length + 1), (size_t) length + 1, format, again);
		bytes->length += (size_t) length;
	}
	va_end(again);
}

char *
bytes_text(Bytes *bytes)
{
	*bytes_reserve(bytes, 1) = '\0';
	return bytes->data;
}

char *
bytes_take_text(Bytes *bytes)
{
	char *text = bytes_text(bytes);

	*bytes = (Bytes){0};
	return text;
}

void
bytes_json_string(Bytes *bytes, const char *string, size_t length)
{
	size_t i = 0;

	bytes_puts(bytes, "\"");
	while (i < length)
	{
		unsigned char c = (unsigned char) string[i];
		size_t step = utf8_length(string + i, length - i);

		if (step == 0)
		{
			bytes_puts(bytes, "\xef\xbf\xbd");
			step = 1;
		}
		else if (c == '"' || c == '\\')
			bytes_printf(bytes, "\\%c", c);
		else if (c < 0x20)
			bytes_printf(bytes, "\\u%04x", c);
		else
			bytes_append(bytes, string + i, step);
		i += step;
	}
	bytes_puts(bytes, "\"");
}

void
bytes_consume(Bytes *bytes, size_t count)
{
	bytes->length -= count;
	if (bytes->length > 0)
		memmove(bytes->data, bytes->data + count, bytes->length);
}

void
bytes_free(Bytes *bytes)
{
	free(bytes->data);
	*bytes = (Bytes){0};
}
