/*
 * tokens.c
 *	  The tokens of --tokens-file: whom a request's token or certificate names.
 *
 * A token is hashed, and its hash is compared with all that there are by a function whose time does
 * not depend on what it compares.  Connections remember their answer, so that this is done once for
 * each.
 */
#include "base/tokens.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/token_line.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MAX_LINE_BYTES 2048

typedef struct TokenEntry
{
	Principal *principal;
	bool certificate;
	unsigned char hash[TOKEN_HASH_BYTES];
} TokenEntry;

typedef struct TokenList
{
	TokenEntry *entries;
	int count;
} TokenList;

struct Tokens
{
	const char *path;
	pthread_mutex_t lock; /* guards the list */
	TokenList list;
	_Atomic uint32_t version;
};

static void
free_list(TokenList *list)
{
	for (int i = 0; i < list->count; i++)
		principal_release(list->entries[i].principal);
	free(list->entries);
	*list = (TokenList){0};
}

/* Adds a line; returns what is wrong with it, or NULL. */
static const char *
add_line(TokenList *list, const TokenLine *line)
{
	if (list->count == TOKENS_MAX)
		return "there are more than 1000 tokens";
	for (int i = 0; i < list->count; i++)
	{
		if (strcmp(list->entries[i].principal->name, line->name) == 0)
			return "the name is there before";
		if (!line->certificate && !list->entries[i].certificate &&
			memcmp(list->entries[i].hash, line->hash, TOKEN_HASH_BYTES) == 0)
			return "the token is there before";
	}
	list->entries = memory_resize(list->entries, (size_t) (list->count + 1) * sizeof(TokenEntry));
	list->entries[list->count] = (TokenEntry){
		.principal = principal_new(line->name, line->scopes, line->prefix, line->role),
		.certificate = line->certificate,
	};
	memcpy(list->entries[list->count++].hash, line->hash, TOKEN_HASH_BYTES);
	return NULL;
}

/* Reads all lines of the file; returns what is wrong with the line *number, or NULL. */
static const char *
read_lines(TokenList *list, FILE *file, int *number)
{
	char text[MAX_LINE_BYTES];
	const char *wrong = NULL;

	while (wrong == NULL && fgets(text, sizeof(text), file) != NULL)
	{
		size_t length = strlen(text);
		TokenLine line = {0};

		++*number;
		if (length == 0)
			wrong = "it has a NUL";
		else if (text[length - 1] != '\n' && !feof(file))
			wrong = "it is too long, or has a NUL";
		else
			wrong = token_line_read(&line, text, text[length - 1] == '\n' ? length - 1 : length);
		if (wrong == NULL && line.name[0] != '\0')
			wrong = add_line(list, &line);
	}
	return wrong;
}

static bool
read_file(const char *path, TokenList *list, char *wrong, size_t size)
{
	FILE *file = fopen(path, "re");
	struct stat status;
	const char *why;
	int number = 0;

	*list = (TokenList){0};
	if (file == NULL || fstat(fileno(file), &status) != 0)
	{
		snprintf(wrong, size, "tokens-file: cannot read %s: %s", path, strerror(errno));
		if (file != NULL)
			fclose(file);
		return false;
	}
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 || !S_ISREG(status.st_mode))
	{
		snprintf(wrong, size,
				 "tokens-file: %s is no file, or others than its owner may write it (chmod go-w)",
				 path);
		fclose(file);
		return false;
	}
	errno = 0;
	why = read_lines(list, file, &number);
	if (why == NULL && ferror(file))
		why = strerror(errno);
	fclose(file);
	if (why == NULL)
		return true;
	snprintf(wrong, size, "tokens-file: %s line %d: %s", path, number, why);
	free_list(list);
	return false;
}

Tokens *
tokens_new(const char *path, char *wrong, size_t size)
{
	Tokens *tokens;
	TokenList list;

	if (!read_file(path, &list, wrong, size))
		return NULL;
	tokens = memory_new(sizeof(Tokens));
	tokens->path = path;
	tokens->list = list;
	tokens->version = 1;
	pthread_mutex_init(&tokens->lock, NULL);
	return tokens;
}

static const TokenEntry *
find_name(const TokenList *list, const char *name)
{
	for (int i = 0; i < list->count; i++)
	{
		if (strcmp(list->entries[i].principal->name, name) == 0)
			return &list->entries[i];
	}
	return NULL;
}

static void
log_change(const char *action, const Principal *principal)
{
	char scopes[24];

	log_event(LOG_AUDIT,
			  (const LogField[]){
				  {.name = "action", .value = action},
				  {.name = "token", .value = principal->name},
				  {.name = "scope", .value = principal_put_scopes(principal->scopes, scopes)},
				  {.name = "prefix", .value = principal->prefix},
				  {.name = "role", .value = principal->role},
				  {0},
			  },
			  "audit");
}

/* Logs what differs between two lists. */
static void
log_changes(const TokenList *before, const TokenList *after)
{
	for (int i = 0; i < after->count; i++)
	{
		const TokenEntry *entry = &after->entries[i];
		const TokenEntry *old = find_name(before, entry->principal->name);

		if (old == NULL)
			log_change("add token", entry->principal);
		else if (!principal_equal(old->principal, entry->principal) ||
				 old->certificate != entry->certificate ||
				 memcmp(old->hash, entry->hash, TOKEN_HASH_BYTES) != 0)
			log_change("change token", entry->principal);
	}
	for (int i = 0; i < before->count; i++)
	{
		if (find_name(after, before->entries[i].principal->name) == NULL)
			log_change("remove token", before->entries[i].principal);
	}
}

bool
tokens_reload(Tokens *tokens)
{
	char wrong[TOKENS_WRONG_BYTES];
	TokenList list;
	TokenList before;

	if (!read_file(tokens->path, &list, wrong, sizeof(wrong)))
	{
		log_error("%s; the tokens stay as they are (SIGHUP)", wrong);
		return false;
	}
	pthread_mutex_lock(&tokens->lock);
	before = tokens->list;
	tokens->list = list;
	atomic_fetch_add(&tokens->version, 1);
	pthread_mutex_unlock(&tokens->lock);
	/* Only this thread changes the list. */
	log_changes(&before, &tokens->list);
	free_list(&before);
	return true;
}

uint32_t
tokens_version(const Tokens *tokens)
{
	return atomic_load_explicit(&tokens->version, memory_order_acquire);
}

Principal *
tokens_find(Tokens *tokens, const char *token, size_t length)
{
	unsigned char hash[TOKEN_HASH_BYTES];
	Principal *found = NULL;

	if (length == 0 || length > TOKEN_MAX_BYTES)
		return NULL;
	token_line_hash(token, length, hash);
	pthread_mutex_lock(&tokens->lock);
	for (int i = 0; i < tokens->list.count; i++)
	{
		const TokenEntry *entry = &tokens->list.entries[i];

		if (CRYPTO_memcmp(entry->hash, hash, TOKEN_HASH_BYTES) == 0 && !entry->certificate)
			found = entry->principal;
	}
	if (found != NULL)
		principal_hold(found);
	pthread_mutex_unlock(&tokens->lock);
	return found;
}

Principal *
tokens_find_subject(Tokens *tokens, const char *subject)
{
	const TokenEntry *entry;
	Principal *found = NULL;

	pthread_mutex_lock(&tokens->lock);
	entry = find_name(&tokens->list, subject);
	if (entry != NULL && entry->certificate)
		found = principal_hold(entry->principal);
	pthread_mutex_unlock(&tokens->lock);
	return found;
}
