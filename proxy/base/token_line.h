/*
 * token_line.h
 *	  A line of the file with tokens (--tokens-file): who has a token, and what the token allows.
 *
 *	NAME SCOPE[,SCOPE]..[:PREFIX] [role=ROLE] sha256:DIGITS
 *	NAME SCOPE[,SCOPE]..[:PREFIX] [role=ROLE] certificate
 *
 * Fields are separated by blanks.  In NAME, PREFIX and ROLE a blank, a control character and % are
 * written as %XX.  The digits are the SHA-256 of the token, which is not kept anywhere: it is random
 * and long, so that a slow hash would add nothing.  Empty lines and lines that begin with # mean
 * nothing.  historian token and historiand read lines with these functions.
 */
#ifndef HISTORIAND_TOKEN_LINE_H
#define HISTORIAND_TOKEN_LINE_H

#include "base/memory.h"
#include "base/principal.h"

#define TOKEN_HASH_BYTES 32
#define TOKEN_MAX_BYTES	 256 /* of a token; a longer one is not looked at */

typedef struct TokenLine
{
	char name[PRINCIPAL_NAME_BYTES]; /* "": the line means nothing */
	unsigned scopes;
	char prefix[PRINCIPAL_PREFIX_BYTES];
	char role[PRINCIPAL_ROLE_BYTES];
	bool certificate; /* and no token: the name is the subject of a client certificate */
	unsigned char hash[TOKEN_HASH_BYTES];
} TokenLine;

/* Reads a line without its end.  Returns what is wrong with it, or NULL. */
extern const char *token_line_read(TokenLine *line, const char *text, size_t length);

/* Reads "read,write:plant1/" or another list of scopes; returns what is wrong with it, or NULL. */
extern const char *token_line_read_scopes(TokenLine *line, const char *text);

/* Keeps a name, a prefix or a role; returns what is wrong with it, or NULL. */
extern const char *token_line_set_name(TokenLine *line, const char *name);
extern const char *token_line_set_prefix(TokenLine *line, const char *prefix);
extern const char *token_line_set_role(TokenLine *line, const char *role);

/* Appends the line with its end. */
extern void token_line_write(const TokenLine *line, Bytes *out);

extern void token_line_hash(const char *token, size_t length, unsigned char *hash);

#endif /* HISTORIAND_TOKEN_LINE_H */
