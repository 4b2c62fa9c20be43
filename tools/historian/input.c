/*
 * input.c
 *	  The bytes of a file or of stdin, which may be compressed by gzip.
 *
 * Whether it is compressed is known from its first two bytes, and not from its name.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "connection.h"
#include "ingest/gunzip.h"

#define RAW_BYTES ((size_t) 256 * 1024)

struct Input
{
	int file;
	const char *name;
	char *source;
	uint64_t size;				/* of a file; 0: not known */
	_Atomic uint64_t raw_bytes; /* read from the file */
	uint64_t offset;			/* returned, after decompression */
	bool looked;				/* at the first bytes */
	Gunzip *gunzip;				/* NULL: it is not compressed */
	bool ended;					/* the file has no more bytes */
	char *raw;					/* bytes of the file that are not used yet */
	const char *raw_next;
	size_t raw_left;
	const char *output; /* decompressed bytes that are not returned yet */
	size_t output_left;
	char wrong[200];
};

Input *
input_open(const char *path)
{
	Input *input = memory_new(sizeof(Input));
	struct stat status;

	if (path == NULL || strcmp(path, "-") == 0)
	{
		input->file = STDIN_FILENO;
		input->name = "stdin";
	}
	else
	{
		input->file = open(path, O_RDONLY | O_CLOEXEC);
		input->name = path;
	}
	if (input->file < 0 || fstat(input->file, &status) != 0)
		connection_fail_with("%s: %s", input->name, strerror(errno));
	if (S_ISDIR(status.st_mode))
		connection_fail_with("%s: it is a directory", input->name);
	if (S_ISREG(status.st_mode))
		input->size = (uint64_t) status.st_size;
	if (S_ISREG(status.st_mode) && input->file != STDIN_FILENO)
		input->source = realpath(path, NULL);
	input->raw = memory_new_raw(RAW_BYTES);
	return input;
}

void
input_close(Input *input)
{
	if (input->file != STDIN_FILENO)
		close(input->file);
	gunzip_free(input->gunzip);
	free(input->source);
	free(input->raw);
	free(input);
}

const char *
input_name(const Input *input)
{
	return input->name;
}

const char *
input_source(const Input *input)
{
	return input->source;
}

uint64_t
input_offset(const Input *input)
{
	return input->offset;
}

double
input_share(const Input *input)
{
	uint64_t read = atomic_load(&input->raw_bytes);

	return input->size == 0 ? -1 : read >= input->size ? 1 : (double) read / (double) input->size;
}

static ssize_t
fail(Input *input, const char **wrong, const char *what)
{
	snprintf(input->wrong, sizeof(input->wrong), "%s: %s", input->name, what);
	*wrong = input->wrong;
	return -1;
}

/* Reads from the file into to; 0 at its end. */
static ssize_t
read_file(Input *input, char *to, size_t size, const char **wrong)
{
	ssize_t count;

	do
		count = read(input->file, to, size);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return fail(input, wrong, strerror(errno));
	atomic_fetch_add(&input->raw_bytes, (uint64_t) count);
	input->ended = count == 0;
	return count;
}

/* Fills raw behind what is left in it, which is at its begin. */
static bool
read_raw(Input *input, const char **wrong)
{
	ssize_t count =
		read_file(input, input->raw + input->raw_left, RAW_BYTES - input->raw_left, wrong);

	if (count < 0)
		return false;
	input->raw_next = input->raw;
	input->raw_left += (size_t) count;
	return true;
}

/* Finds out by the first two bytes whether the input is compressed. */
static bool
look(Input *input, const char **wrong)
{
	input->looked = true;
	while (input->raw_left < 2 && !input->ended)
	{
		if (!read_raw(input, wrong))
			return false;
	}
	if (input->raw_left >= 2 && memcmp(input->raw_next, "\x1f\x8b", 2) == 0)
		input->gunzip = gunzip_new();
	return true;
}

/* Decompresses until there is output, or the input has ended. */
static bool
decompress(Input *input, const char **wrong)
{
	while (input->output_left == 0)
	{
		switch (gunzip_step(input->gunzip, &input->raw_next, &input->raw_left, &input->output,
							&input->output_left))
		{
			case GUNZIP_MORE:
				break;
			case GUNZIP_CORRUPT:
				fail(input, wrong, "the compressed data is damaged");
				return false;
			case GUNZIP_HUNGRY:
				if (input->ended && !gunzip_complete(input->gunzip))
				{
					fail(input, wrong, "the compressed data ends too early");
					return false;
				}
				if (input->ended)
					return true;
				if (!read_raw(input, wrong))
					return false;
				break;
		}
	}
	return true;
}

ssize_t
input_read(Input *input, char *to, size_t size, const char **wrong)
{
	size_t *left = &input->raw_left;
	const char **next = &input->raw_next;

	if (!input->looked && !look(input, wrong))
		return -1;
	if (input->gunzip != NULL)
	{
		if (!decompress(input, wrong))
			return -1;
		left = &input->output_left;
		next = &input->output;
	}
	else if (input->raw_left == 0)
	{
		ssize_t count = read_file(input, to, size, wrong);

		input->offset += count > 0 ? (uint64_t) count : 0;
		return count;
	}
	if (size > *left)
		size = *left;
	memcpy(to, *next, size);
	*next += size;
	*left -= size;
	input->offset += size;
	return (ssize_t) size;
}

/* Moves to an offset without reading, where the input is a file that is not compressed. */
static void
seek(Input *input, uint64_t offset)
{
	if (input->source == NULL || input->gunzip != NULL || input->size < offset ||
		offset < input->offset || lseek(input->file, (off_t) offset, SEEK_SET) < 0)
		return;
	input->raw_left = 0;
	input->offset = offset;
	atomic_store(&input->raw_bytes, offset);
}

bool
input_skip(Input *input, uint64_t offset, const char **wrong)
{
	char scratch[65536];

	if (!input->looked && !look(input, wrong))
		return false;
	seek(input, offset);
	while (input->offset < offset)
	{
		uint64_t left = offset - input->offset;
		ssize_t count =
			input_read(input, scratch, left < sizeof(scratch) ? left : sizeof(scratch), wrong);

		if (count < 0)
			return false;
		if (count == 0)
		{
			fail(input, wrong, "it is shorter than what was imported of it before");
			return false;
		}
	}
	return true;
}
