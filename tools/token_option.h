/*
 * token_option.h
 *	  The option --token-file, and the variable HISTORIAN_TOKEN: by which token a program is known.
 */
#ifndef TOKEN_OPTION_H
#define TOKEN_OPTION_H

#include <stddef.h>

#define TOKEN_HEADER_BYTES 320

/* The line of --help about it. */
#define TOKEN_OPTION_HELP                                                                          \
	"  --token-file FILE    file with the token for historiand (the variable HISTORIAN_TOKEN)\n"

/*
 * Writes the header Authorization with its line end for the token of the file or, if that is NULL,
 * of the variable; nothing if there is none.  Returns what is wrong, or NULL.
 */
extern const char *token_option_header(const char *file, char *header, size_t size);

#endif
