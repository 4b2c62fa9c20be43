/*
 * tokens.h
 *	  The tokens of --tokens-file: whom a request's token or certificate names.
 *
 * Any thread may ask; one thread reads the file again.  An answer holds until tokens_version()
 * changes.
 */
#ifndef HISTORIAND_TOKENS_H
#define HISTORIAND_TOKENS_H

#include "base/principal.h"

typedef struct Tokens Tokens;

/* So many lines a file may have, which bounds what it takes to compare a token with all of them. */
#define TOKENS_MAX 1000

#define TOKENS_WRONG_BYTES 512

/* Reads the file.  If it cannot be read or a line is wrong, sets wrong and returns NULL. */
extern Tokens *tokens_new(const char *path, char *wrong, size_t size);

/*
 * Reads the file again, and logs for each name that it was added, changed or removed.  If the file
 * is wrong, logs why, keeps what was read before and returns false.
 */
extern bool tokens_reload(Tokens *tokens);

/* It grows with each file that was read. */
extern uint32_t tokens_version(const Tokens *tokens);

/*
 * The principal of a token, or of a certificate's subject; NULL: there is none.  The caller releases
 * it.  How long a token is compared does not depend on how much of it is right.
 */
extern Principal *tokens_find(Tokens *tokens, const char *token, size_t length);
extern Principal *tokens_find_subject(Tokens *tokens, const char *subject);

#endif /* HISTORIAND_TOKENS_H */
