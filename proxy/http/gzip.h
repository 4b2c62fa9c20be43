/*
 * gzip.h
 *	  Compression of answers.
 */
#ifndef HISTORIAND_GZIP_H
#define HISTORIAND_GZIP_H

#include "base/memory.h"

#include <stdbool.h>

typedef struct Gzip Gzip;

/* The memory of one: zlib's window, hashes and output (zconf.h says how much). */
#define GZIP_BYTES (((1 << 17) + (1 << 17)) + 8192)

/* Appends the data as a gzip file. */
extern void gzip_whole(Bytes *out, const char *data, size_t length);

/* Does the same piece by piece; last ends the file. */
extern Gzip *gzip_new(void);
extern void gzip_add(Gzip *gzip, Bytes *out, const char *data, size_t length, bool last);
extern void gzip_free(Gzip *gzip);

#endif /* HISTORIAND_GZIP_H */
