/*
 * gunzip.h
 *	  Decompression of a gzip body that arrives in pieces.
 */
#ifndef HISTORIAND_GUNZIP_H
#define HISTORIAND_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Gunzip Gunzip;

typedef enum GunzipStatus
{
	GUNZIP_MORE,   /* *output has *output_length bytes; call again */
	GUNZIP_HUNGRY, /* all input was used, and all output returned */
	GUNZIP_CORRUPT,
} GunzipStatus;

extern Gunzip *gunzip_new(void);
extern void gunzip_free(Gunzip *gunzip);

/*
 * Decompresses from *data, *length, which move on.  The output is valid until the next call.  Must
 * be called until it returns GUNZIP_HUNGRY, even when no input is left.
 */
extern GunzipStatus gunzip_step(Gunzip *gunzip, const char **data, size_t *length,
								const char **output, size_t *output_length);

/* Did the input end where a gzip file ends? */
extern bool gunzip_complete(const Gunzip *gunzip);

#endif /* HISTORIAND_GUNZIP_H */
