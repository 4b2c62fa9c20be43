/*
 * token.c
 *	  historian token: makes, lists and removes the tokens of those who may use historiand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "arguments.h"
#include "commands.h"
#include "tokens_file.h"

/* 256 random bits in the digits of base64url, behind a word by which scanners for secrets know it. */
#define RANDOM_BYTES 32
#define TOKEN_BEGIN	 "hst_"
#define TOKEN_BYTES	 (sizeof(TOKEN_BEGIN) + (RANDOM_BYTES * 8 + 5) / 6)

static const char usage[] =
	"historian token: makes, lists and removes tokens, by which historiand knows who asks\n"
	"\n"
	"usage: historian token new --file FILE --name NAME --scope SCOPE [OPTION]...\n"
	"       historian token list --file FILE\n"
	"       historian token remove --file FILE --name NAME\n"
	"\n"
	"FILE is that of historiand --tokens-file, which reads it again on SIGHUP (systemctl reload\n"
	"historiand). It has the hash of a token. new prints the token itself, once.\n"
	"\n"
	"  --file FILE          the file; new makes it if it is not there\n"
	"  --name NAME          whose token it is; it is in the log and in metrics\n"
	"  --scope SCOPE        read; write (new samples); admin, which includes both, and changes "
	"and\n"
	"                       removes what is stored; several are separated by commas\n"
	"  --prefix PREFIX      only tags that begin with it\n"
	"  --role ROLE          the role of PostgreSQL in which it reads and changes what is stored\n"
	"  --certificate        no token: NAME is the subject of a client certificate\n"
	"  --help               this text; -h does the same\n"
	"  --version            the version\n"
	"\n"
	"Exits with 0 if that is done, and with 1 after an error.\n";

typedef struct TokenOptions
{
	const char *file;
	const char *name;
	const char *scope;
	TokenLine line;
} TokenOptions;

/* Ends the process if an option is wrong. */
static void
check(const char *option, const char *wrong)
{
	if (wrong != NULL)
		arguments_fail("--%s: %s", option, wrong);
}

static void
make_token(char *token)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char random[RANDOM_BYTES];
	unsigned bits = 0;
	int count = 0;

	if (getrandom(random, sizeof(random), 0) != (ssize_t) sizeof(random))
	{
		perror("historian: there are no random numbers");
		exit(EXIT_FAILED);
	}
	strcpy(token, TOKEN_BEGIN);
	token += strlen(token);
	for (int i = 0; i < RANDOM_BYTES; i++)
	{
		bits = bits << 8 | random[i];
		for (count += 8; count >= 6; count -= 6)
			*token++ = digits[bits >> (count - 6) & 63];
	}
	if (count > 0)
		*token++ = digits[bits << (6 - count) & 63];
	*token = '\0';
}

static int
new_token(TokenOptions *options)
{
	TokensFile *file;
	TokenLine other;
	size_t position = 0;
	char token[TOKEN_BYTES];

	if (options->name == NULL || options->scope == NULL)
		arguments_fail("token new takes --file, --name and --scope");
	file = tokens_file_open(options->file, true);
	while (tokens_file_next(file, &position, &other))
	{
		if (strcmp(other.name, options->line.name) != 0)
			continue;
		fprintf(stderr, "historian: %s has a token for %s; remove it first\n", options->file,
				options->name);
		return EXIT_FAILED;
	}
	if (!options->line.certificate)
	{
		make_token(token);
		token_line_hash(token, strlen(token), options->line.hash);
	}
	tokens_file_add(file, &options->line);
	tokens_file_save(file);
	if (options->line.certificate)
		return 0;
	/* Only after the file is on disk: a token that was printed is good. */
	if (printf("%s\n", token) < 0 || fflush(stdout) != 0)
	{
		perror("historian: the token could not be printed; remove it");
		return EXIT_FAILED;
	}
	return 0;
}

static int
list_tokens(const TokenOptions *options)
{
	TokensFile *file = tokens_file_open(options->file, false);
	TokenLine line;
	size_t position = 0;
	char scopes[24];

	while (tokens_file_next(file, &position, &line))
		printf("%-20s %-16s %-20s %-16s %s\n", line.name, principal_put_scopes(line.scopes, scopes),
			   line.prefix[0] != '\0' ? line.prefix : "-", line.role[0] != '\0' ? line.role : "-",
			   line.certificate ? "certificate" : "token");
	return 0;
}

static int
remove_token(const TokenOptions *options)
{
	TokensFile *file;

	if (options->name == NULL)
		arguments_fail("token remove takes --file and --name");
	file = tokens_file_open(options->file, true);
	if (!tokens_file_remove(file, options->name))
	{
		fprintf(stderr, "historian: %s has no token for %s\n", options->file, options->name);
		return EXIT_FAILED;
	}
	tokens_file_save(file);
	return 0;
}

static void
read_options(TokenOptions *options, int argc, char **argv)
{
	enum
	{
		FILE_NAME = ARGUMENT_OWN,
		NAME,
		SCOPE,
		PREFIX,
		ROLE,
		CERTIFICATE
	};
	static const struct option known[] = {
		{"file", required_argument, NULL, FILE_NAME},
		{"name", required_argument, NULL, NAME},
		{"scope", required_argument, NULL, SCOPE},
		{"prefix", required_argument, NULL, PREFIX},
		{"role", required_argument, NULL, ROLE},
		{"certificate", no_argument, NULL, CERTIFICATE},
		{"help", no_argument, NULL, ARGUMENT_HELP},
		{"version", no_argument, NULL, ARGUMENT_VERSION},
		{NULL, 0, NULL, 0},
	};
	Arguments arguments;
	const char *name;
	const char *prefix = NULL;
	int option;

	arguments_init(&arguments);
	while ((option = arguments_next(&arguments, argc, argv, "", known, usage, &name)) != -1)
	{
		if (option == FILE_NAME)
			options->file = optarg;
		else if (option == NAME)
			check("name", token_line_set_name(&options->line, options->name = optarg));
		else if (option == SCOPE)
			options->scope = optarg;
		else if (option == PREFIX)
			prefix = optarg;
		else if (option == ROLE)
			check("role", token_line_set_role(&options->line, optarg));
		else
			options->line.certificate = true;
	}
	if (options->scope != NULL)
		check("scope", token_line_read_scopes(&options->line, options->scope));
	if (prefix != NULL && options->line.prefix[0] != '\0')
		arguments_fail("--prefix: --scope has a prefix already");
	if (prefix != NULL)
		check("prefix", token_line_set_prefix(&options->line, prefix));
}

int
command_token(int argc, char **argv)
{
	TokenOptions options = {0};
	const char *action;

	read_options(&options, argc, argv);
	action = optind + 1 == argc ? argv[optind] : "";
	if (strcmp(action, "new") != 0 && strcmp(action, "list") != 0 && strcmp(action, "remove") != 0)
		arguments_fail("token takes new, list or remove; see historian token --help");
	if (options.file == NULL)
		arguments_fail("token %s takes --file", action);
	if (strcmp(action, "new") == 0)
		return new_token(&options);
	return strcmp(action, "list") == 0 ? list_tokens(&options) : remove_token(&options);
}
