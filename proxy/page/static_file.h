/*
 * static_file.h
 *	  The files in the program: the page and the description of the API.  page/embed makes the table.
 */
#ifndef HISTORIAND_STATIC_FILE_H
#define HISTORIAND_STATIC_FILE_H

#include <stddef.h>

typedef struct StaticFile
{
	const char *path; /* of the request */
	const char *content_type;
	const unsigned char *gzip; /* one member */
	size_t gzip_length;
} StaticFile;

extern const StaticFile static_files[];
extern const int static_file_count;

#endif /* HISTORIAND_STATIC_FILE_H */
