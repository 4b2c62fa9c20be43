/*
 * arguments.c
 *	  Reads the command line of a command, with the options that all commands have.
 */
#include "arguments.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

void
arguments_init(Arguments *arguments)
{
	*arguments = (Arguments){.table = "measurement"};
}

void
arguments_fail(const char *format, ...)
{
	va_list args;

	fputs("historian: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_USAGE);
}

/* psql's -h is the host, and everybody else's the help: without a host after it, it is the latter. */
static void
make_help(int argc, char **argv)
{
	static char help[] = "--help";

	if (argc > 1 && optind <= 1 && strcmp(argv[argc - 1], "-h") == 0)
		argv[argc - 1] = help;
}

static const char *
name_of(const struct option *options, int val)
{
	for (; options->name != NULL; options++)
	{
		if (options->val == val)
			return options->name;
	}
	return "";
}

int
arguments_next(Arguments *arguments, int argc, char **argv, const char *short_options,
			   const struct option *options, const char *usage, const char **name)
{
	int option;

	make_help(argc, argv);
	while ((option = getopt_long(argc, argv, short_options, options, NULL)) != -1)
	{
		*name = name_of(options, option);
		switch (option)
		{
			case 'd':
				arguments->dbname = optarg;
				break;
			case 'h':
				arguments->host = optarg;
				break;
			case 'p':
				arguments->port = optarg;
				break;
			case 'U':
				arguments->username = optarg;
				break;
			case 't':
				arguments->table = optarg;
				break;
			case ARGUMENT_HELP:
				fputs(usage, stdout);
				exit(0);
			case ARGUMENT_VERSION:
				printf("historian %s\n", HISTORIAN_VERSION);
				exit(0);
			case '?':
				/* getopt has said what is wrong. */
				fprintf(stderr, "  hint: historian %s --help has the options\n", argv[0]);
				exit(EXIT_USAGE);
			default:
				return option;
		}
	}
	return -1;
}

int64_t
arguments_time(const char *name, const char *text, const TimestampRules *rules, int64_t from_ns)
{
	char wrong_bytes[TIMESTAMP_WRONG_BYTES];
	int64_t time_ns = 0;
	const char *wrong =
		timestamp_read(text, rules, timestamp_now(), from_ns, &time_ns, wrong_bytes);

	if (wrong != NULL)
		arguments_fail("--%s %s: it %s", name, text, wrong);
	return time_ns;
}
