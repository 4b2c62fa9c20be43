/*
 * gunzip.h
 *	  Decompression of a gzip body as it arrives.
 */
#ifndef HISTORIAND_GUNZIP_H
#define HISTORIAND_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Gunzip Gunzip;

typedef enum GunzipStatus
{
	GUNZIP_MORE,   /* *output has *output_length bytes; call again */
	GUNZIP_HUNGRY, /* all input was used and all output given */
	GUNZIP_CORRUPT,
} GunzipStatus;

extern Gunzip *gunzip_new(void);
extern void gunzip_free(Gunzip *gunzip);

/*
 * Decompresses from *data, *length, which move on.  The output is valid until the next call.  To
 * be called until it is hungry, also without any input.
 */
extern GunzipStatus gunzip_step(Gunzip *gunzip, const char **data, size_t *length,
								const char **output, size_t *output_length);

/* Did the input end where a gzip file ends? */
extern bool gunzip_complete(const Gunzip *gunzip);

#endif /* HISTORIAND_GUNZIP_H */
