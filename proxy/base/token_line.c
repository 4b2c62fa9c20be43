/*
 * token_line.c
 *	  A line of the file with tokens (--tokens-file): who has a token, and what the token allows.
 */
#include "base/token_line.h"

#include "base/utf8.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

static int
hex_digit(char c)
{
	const char *at = c == '\0' ? NULL : strchr(hex_digits, c >= 'A' && c <= 'F' ? c | 0x20 : c);

	return at == NULL ? -1 : (int) (at - hex_digits);
}

/* Takes the next field of a line; false at its end. */
static bool
next_field(const char **text, const char *end, const char **field, size_t *length)
{
	while (*text < end && (**text == ' ' || **text == '\t' || **text == '\r'))
		++*text;
	*field = *text;
	while (*text < end && **text != ' ' && **text != '\t' && **text != '\r')
		++*text;
	*length = (size_t) (*text - *field);
	return *length > 0;
}

/* Decodes %XX; false if an escape is broken, or the text does not fit size with its NUL. */
static bool
unescape(const char *text, size_t length, char *out, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
	{
		char c = text[i];

		if (c == '%')
		{
			int high = length - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = length - i > 2 ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char) (high << 4 | low);
			i += 2;
		}
		if (c == '\0' || count + 1 == size)
			return false;
		out[count++] = c;
	}
	out[count] = '\0';
	return true;
}

static void
put_escaped(Bytes *out, const char *text)
{
	for (; *text != '\0'; text++)
	{
		unsigned char c = (unsigned char) *text;

		if (c <= ' ' || c == '%' || c == 0x7f)
			bytes_printf(out, "%%%02x", c);
		else
			bytes_append(out, text, 1);
	}
}

/* Copies a text that is UTF-8 and fits; returns what is wrong with it, or NULL. */
static const char *
keep(char *member, size_t size, const char *text, const char *too_long)
{
	size_t length = strlen(text);

	if (!utf8_valid(text, length))
		return "it is not UTF-8";
	if (length >= size)
		return too_long;
	memcpy(member, text, length + 1);
	return NULL;
}

const char *
token_line_set_name(TokenLine *line, const char *name)
{
	if (name[0] == '\0' || name[0] == '#')
		return "a name must not be empty, nor begin with #";
	for (const char *c = name; *c != '\0'; c++)
	{
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			return "a name must have no control characters";
	}
	return keep(line->name, sizeof(line->name), name, "a name has at most 63 bytes");
}

const char *
token_line_set_prefix(TokenLine *line, const char *prefix)
{
	return keep(line->prefix, sizeof(line->prefix), prefix, "a prefix has at most 256 bytes");
}

const char *
token_line_set_role(TokenLine *line, const char *role)
{
	/* PostgreSQL would take it for the role of the session, whatever that is. */
	if (strcmp(role, "none") == 0)
		return "a role cannot have the name none";
	return keep(line->role, sizeof(line->role), role, "a role has at most 63 bytes");
}

const char *
token_line_read_scopes(TokenLine *line, const char *text)
{
	static const struct
	{
		const char *name;
		Scope scope;
	} scopes[] = {{"read", SCOPE_READ}, {"write", SCOPE_WRITE}, {"admin", SCOPE_ADMIN}};
	size_t length = strcspn(text, ":");
	char prefix[PRINCIPAL_PREFIX_BYTES] = "";

	line->scopes = SCOPE_NONE;
	for (size_t from = 0; from <= length;)
	{
		size_t word = strcspn(text + from, ",:");
		Scope scope = SCOPE_NONE;

		for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		{
			if (strlen(scopes[i].name) == word && memcmp(scopes[i].name, text + from, word) == 0)
				scope = scopes[i].scope;
		}
		if (scope == SCOPE_NONE)
			return "a scope is read, write or admin; several have commas between them";
		line->scopes |= scope;
		from += word + 1;
	}
	if (text[length] == '\0')
		return NULL;
	if (!unescape(text + length + 1, strlen(text + length + 1), prefix, sizeof(prefix)))
		return "a prefix has at most 256 bytes, and %XX for a blank and for %";
	return token_line_set_prefix(line, prefix);
}

static const char *
read_hash(TokenLine *line, const char *digits, size_t length)
{
	if (length != 2 * TOKEN_HASH_BYTES)
		return "sha256: takes 64 hexadecimal digits";
	for (size_t i = 0; i < TOKEN_HASH_BYTES; i++)
	{
		int high = hex_digit(digits[2 * i]);
		int low = hex_digit(digits[2 * i + 1]);

		if (high < 0 || low < 0)
			return "sha256: takes 64 hexadecimal digits";
		line->hash[i] = (unsigned char) (high << 4 | low);
	}
	return NULL;
}

/* Reads the fields behind name and scopes. */
static const char *
read_rest(TokenLine *line, const char *text, const char *end)
{
	static const char role[] = "role=";
	static const char hash[] = "sha256:";
	char name[PRINCIPAL_ROLE_BYTES];
	const char *field;
	const char *wrong = NULL;
	size_t length;
	bool known = false;

	while (wrong == NULL && next_field(&text, end, &field, &length))
	{
		if (known)
			return "there is something behind the hash";
		if (length >= strlen(role) && memcmp(field, role, strlen(role)) == 0)
		{
			if (line->role[0] != '\0' || length == strlen(role) ||
				!unescape(field + strlen(role), length - strlen(role), name, sizeof(name)))
				return "role= is given twice, or takes a name of at most 63 bytes";
			wrong = token_line_set_role(line, name);
		}
		else if (length >= strlen(hash) && memcmp(field, hash, strlen(hash)) == 0)
		{
			known = true;
			wrong = read_hash(line, field + strlen(hash), length - strlen(hash));
		}
		else if (length == strlen("certificate") && memcmp(field, "certificate", length) == 0)
			known = line->certificate = true;
		else
			return "behind the scope come role=.. and sha256:.. or certificate";
	}
	if (wrong == NULL && !known)
		wrong = "the hash is missing: sha256:..";
	return wrong;
}

const char *
token_line_read(TokenLine *line, const char *text, size_t length)
{
	const char *end = text + length;
	const char *field;
	const char *wrong;
	char word[1024];

	*line = (TokenLine){0};
	if (memchr(text, '\0', length) != NULL)
		return "it has a NUL";
	if (!next_field(&text, end, &field, &length) || field[0] == '#')
		return NULL;
	if (!unescape(field, length, word, sizeof(line->name)))
		return "a name has at most 63 bytes, and %XX for a blank and for %";
	wrong = token_line_set_name(line, word);
	if (wrong != NULL)
		return wrong;
	if (!next_field(&text, end, &field, &length) || length >= sizeof(word))
		return "the scope is missing, or too long";
	memcpy(word, field, length);
	word[length] = '\0';
	wrong = token_line_read_scopes(line, word);
	return wrong != NULL ? wrong : read_rest(line, text, end);
}

void
token_line_write(const TokenLine *line, Bytes *out)
{
	char scopes[24];

	put_escaped(out, line->name);
	bytes_printf(out, " %s", principal_put_scopes(line->scopes, scopes));
	if (line->prefix[0] != '\0')
	{
		bytes_puts(out, ":");
		put_escaped(out, line->prefix);
	}
	if (line->role[0] != '\0')
	{
		bytes_puts(out, " role=");
		put_escaped(out, line->role);
	}
	bytes_puts(out, line->certificate ? " certificate" : " sha256:");
	for (size_t i = 0; i < TOKEN_HASH_BYTES && !line->certificate; i++)
		bytes_printf(out, "%02x", line->hash[i]);
	bytes_puts(out, "\n");
}

void
token_line_hash(const char *token, size_t length, unsigned char *hash)
{
	SHA256((const unsigned char *) token, length, hash);
}
