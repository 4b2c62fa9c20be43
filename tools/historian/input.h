/*
 * input.h
 *	  The bytes of a file or of stdin, which may be compressed by gzip.
 */
#ifndef HISTORIAN_INPUT_H
#define HISTORIAN_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Input Input;

/* Opens a file, or stdin for NULL or "-".  If that fails, ends the program. */
extern Input *input_open(const char *path);
extern void input_close(Input *input);

/* The path as a message names it. */
extern const char *input_name(const Input *input);

/* The absolute path of a file without links; NULL for stdin and for what is no file. */
extern const char *input_source(const Input *input);

/*
 * Returns the next bytes, at most size, or 0 at the end, or -1 with *wrong saying what is wrong.
 * Offsets count bytes as they are after decompression.
 */
extern ssize_t input_read(Input *input, char *to, size_t size, const char **wrong);
extern uint64_t input_offset(const Input *input);

/* Passes over the bytes before an offset; false with *wrong if they are not all there. */
extern bool input_skip(Input *input, uint64_t offset, const char **wrong);

/* How much of the file is read: 0 to 1, or -1 where that is not known.  Any thread may ask. */
extern double input_share(const Input *input);

#endif /* HISTORIAN_INPUT_H */
