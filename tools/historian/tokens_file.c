/*
 * tokens_file.c
 *	  The file with tokens that historiand reads (--tokens-file), changed as a whole or not at all.
 *
 * Lines that mean nothing, such as comments, stay as they are.
 */
#include "tokens_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"

struct TokensFile
{
	char *path;
	int directory; /* locked, where the file is to be changed */
	bool found;
	struct stat status; /* of the file that was found */
	Bytes text;
};

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
	va_list args;

	fputs("historian: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILED);
}

/* The directory of the file; open for as long as the process lives. */
static int
open_directory(const TokensFile *file)
{
	char *copy = memory_strdup(file->path);
	int directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		fail("cannot open the directory of %s: %s", file->path, strerror(errno));
	free(copy);
	return directory;
}

static void
read_text(TokensFile *file, int descriptor)
{
	ssize_t count;

	do
	{
		char *room = bytes_reserve(&file->text, 65536);

		count = read(descriptor, room, 65536);
		if (count > 0)
			file->text.length += (size_t) count;
	} while (count > 0);
	if (count < 0)
		fail("cannot read %s: %s", file->path, strerror(errno));
}

/* Finds the end of the line that begins at a place of the text. */
static size_t
line_end(const Bytes *text, size_t from)
{
	const char *end = memchr(text->data + from, '\n', text->length - from);

	return end == NULL ? text->length : (size_t) (end - text->data);
}

/* Ends the process where a line is wrong, because historiand would not read the file. */
static void
check_lines(const TokensFile *file)
{
	TokenLine line;
	int number = 0;

	for (size_t from = 0; from < file->text.length; from = line_end(&file->text, from) + 1)
	{
		const char *wrong =
			token_line_read(&line, file->text.data + from, line_end(&file->text, from) - from);

		number++;
		if (wrong != NULL)
			fail("%s line %d: %s", file->path, number, wrong);
	}
}

TokensFile *
tokens_file_open(const char *path, bool to_change)
{
	TokensFile *file = memory_new(sizeof(TokensFile));
	int descriptor;

	/* A link is followed, so that the file that it leads to is replaced, and not the link. */
	file->path = realpath(path, NULL);
	if (file->path == NULL)
		file->path = memory_strdup(path);
	if (to_change)
		file->directory = open_directory(file);
	if (to_change && flock(file->directory, LOCK_EX) != 0)
		fail("cannot lock the directory of %s: %s", file->path, strerror(errno));
	descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
	file->found = descriptor >= 0;
	if (!file->found && (errno != ENOENT || !to_change))
		fail("cannot open %s: %s", file->path, strerror(errno));
	if (file->found)
	{
		if (fstat(descriptor, &file->status) != 0 || !S_ISREG(file->status.st_mode))
			fail("%s is no file", file->path);
		read_text(file, descriptor);
		close(descriptor);
	}
	check_lines(file);
	return file;
}

bool
tokens_file_next(const TokensFile *file, size_t *position, TokenLine *line)
{
	while (*position < file->text.length)
	{
		size_t from = *position;
		size_t end = line_end(&file->text, from);

		*position = end + 1;
		if (token_line_read(line, file->text.data + from, end - from) == NULL &&
			line->name[0] != '\0')
			return true;
	}
	return false;
}

void
tokens_file_add(TokensFile *file, const TokenLine *line)
{
	if (file->text.length > 0 && file->text.data[file->text.length - 1] != '\n')
		bytes_puts(&file->text, "\n");
	token_line_write(line, &file->text);
}

bool
tokens_file_remove(TokensFile *file, const char *name)
{
	Bytes rest = {0};
	bool found = false;

	for (size_t from = 0; from < file->text.length; from = line_end(&file->text, from) + 1)
	{
		size_t end = line_end(&file->text, from);
		TokenLine line;

		if (token_line_read(&line, file->text.data + from, end - from) == NULL &&
			strcmp(line.name, name) == 0)
			found = true;
		else
		{
			bytes_append(&rest, file->text.data + from, end - from);
			bytes_puts(&rest, "\n");
		}
	}
	bytes_free(&file->text);
	file->text = rest;
	return found;
}

static void
write_all(const char *path, int descriptor, const Bytes *text)
{
	for (size_t done = 0; done < text->length;)
	{
		ssize_t count = write(descriptor, text->data + done, text->length - done);

		if (count < 0)
		{
			unlink(path);
			fail("cannot write %s: %s", path, strerror(errno));
		}
		done += (size_t) count;
	}
}

void
tokens_file_save(TokensFile *file)
{
	Bytes path = {0};
	int descriptor;
	mode_t mode = file->found ? file->status.st_mode & 07777 & (mode_t) ~(S_IWGRP | S_IWOTH) : 0600;

	bytes_printf(&path, "%s.new", file->path);
	unlink(bytes_text(&path)); /* of a run that was killed: the lock says that nobody writes it */
	descriptor = open(path.data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (descriptor < 0)
		fail("cannot write %s: %s", path.data, strerror(errno));
	write_all(path.data, descriptor, &file->text);
	if (file->found && (file->status.st_uid != geteuid() || file->status.st_gid != getegid()) &&
		fchown(descriptor, file->status.st_uid, file->status.st_gid) != 0)
	{
		unlink(path.data);
		fail("%s belongs to somebody else: run this as its owner or as root", file->path);
	}
	if (fchmod(descriptor, mode) != 0 || fsync(descriptor) != 0 || close(descriptor) != 0 ||
		rename(path.data, file->path) != 0)
	{
		unlink(path.data);
		fail("cannot write %s: %s", file->path, strerror(errno));
	}
	fsync(file->directory);
	bytes_free(&path);
}
