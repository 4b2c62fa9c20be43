/*
 * tokens_file.h
 *	  The file with tokens that historiand reads (--tokens-file), changed as a whole or not at all.
 *
 * If something fails, the functions end the process with exit code 1 and a message.
 */
#ifndef HISTORIAN_TOKENS_FILE_H
#define HISTORIAN_TOKENS_FILE_H

#include <stdbool.h>

#include "base/token_line.h"

typedef struct TokensFile TokensFile;

/*
 * Reads the file.  to_change locks its directory against others that change the file, until the
 * process ends; then a missing file is an empty one.
 */
extern TokensFile *tokens_file_open(const char *path, bool to_change);

/* The next line that means something, from *position 0 on; false after the last one. */
extern bool tokens_file_next(const TokensFile *file, size_t *position, TokenLine *line);

extern void tokens_file_add(TokensFile *file, const TokenLine *line);

/* Removes the line of a name; false if there is none. */
extern bool tokens_file_remove(TokensFile *file, const char *name);

/*
 * Puts the file into the place of the old one, with the same owner and mode; a new one is for its
 * owner alone.
 */
extern void tokens_file_save(TokensFile *file);

#endif /* HISTORIAN_TOKENS_FILE_H */
