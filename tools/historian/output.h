/*
 * output.h
 *	  Where a command writes its data: stdout, or a file that is there only once it is whole.
 */
#ifndef HISTORIAN_OUTPUT_H
#define HISTORIAN_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Output Output;

/*
 * Begins to write to stdout, for NULL or "-", or to a file.  What is written is compressed if the
 * caller wants that, or if the file's name ends with .gz.  Until output_close() the file has ".partial" at the end of its name, unless it is
 * there and is no ordinary file.
 */
extern Output *output_open(const char *path, bool compressed);

/*
 * Writes data.  If that fails, ends the program with a message; if the reader of stdout has gone
 * away, as by a signal SIGPIPE.
 */
extern void output_write(Output *output, const void *data, size_t length);
extern void output_puts(Output *output, const char *text);
/* Writes what is kept back. */
extern void output_flush(Output *output);

/* How much was written, before compression. */
extern uint64_t output_bytes(const Output *output);

/* Writes the rest, waits until a file is on disk, and gives it its name. */
extern void output_close(Output *output);

#endif /* HISTORIAN_OUTPUT_H */
