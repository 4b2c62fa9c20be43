/*
 * main.c
 *	  The program historian: import, export and other commands for a database with the extension historian.
 */
#include "commands.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

typedef struct Command
{
	const char *name;
	int (*run)(int argc, char **argv);
	const char *purpose;
} Command;

static const Command commands[] = {
	{"import", command_import, "load CSV, NDJSON, line protocol or COPY data from a file or stdin"},
	{"export", command_export, "write rows as CSV, NDJSON or COPY's binary format"},
	{"tags", command_tags, "list the tags with what is known of them"},
	{"tail", command_tail, "print the last rows of tags, and those that come after"},
	{"check", command_check, "verify a table"},
	{"doctor", command_doctor, "look for what is wrong around a table, and say what cures it"},
	{"token", command_token, "make, list and remove the tokens of those who may use historiand"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
print_usage(FILE *out)
{
	fputs("historian: commands for a database with the extension historian\n"
		  "\n"
		  "usage: historian COMMAND [OPTION]...\n"
		  "\n",
		  out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].purpose);
	fputs("\n"
		  "  --help             this text; historian COMMAND --help: the options of a command\n"
		  "  --version          the version\n"
		  "\n"
		  "The database is that of -d, -h, -p and -U, or of the variables PGDATABASE, PGHOST, "
		  "PGPORT,\n"
		  "PGUSER, PGSERVICE and so on, as psql has them.\n",
		  out);
}

int
main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	setlocale(LC_CTYPE, "");
	number_init();
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
	{
		printf("historian %s\n", HISTORIAN_VERSION);
		return 0;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "-?") == 0 ||
		strcmp(word, "help") == 0)
	{
		print_usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++)
	{
		if (strcmp(word, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	if (argc > 1)
		fprintf(stderr, "historian: there is no command \"%s\"; see historian --help\n", word);
	else
		print_usage(stderr);
	return EXIT_USAGE;
}
