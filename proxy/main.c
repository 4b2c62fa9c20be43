/*
 * main.c
 *	  historiand: takes messages over HTTP, loads them into PostgreSQL, answers queries.
 */
#include "base/config.h"
#include "http/listener.h"
#include "http/tls.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/number.h"
#include "server.h"
#include "load/spool.h"
#include "load/table_check.h"
#include "base/tokens.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* Can the server listen there?  An address that is in use is no fault, as below. */
static bool
check_address(const ListenAddress *at)
{
	struct sockaddr_storage address = at->address;
	int socket;

	if (listener_open(&address, &socket, 1))
	{
		close(socket);
		if (address.ss_family == AF_UNIX)
			unlink(((struct sockaddr_un *) &address)->sun_path);
	}
	else if (errno == EADDRINUSE)
		printf("historiand: %s is in use now\n", at->text);
	else
	{
		log_error("listen: cannot listen on %s: %s", at->text, strerror(errno));
		return false;
	}
	return true;
}

/*
 * For --check-config: tries what the settings name, and returns the exit code.  An address that is
 * in use is no fault, because a server may be running while its next settings are checked.
 */
static int
check(const Config *config)
{
	char wrong[TOKENS_WRONG_BYTES];
	char wrong_certificate[TLS_WRONG_BYTES];
	bool good = true;

	if (config->spool_dir[0] != '\0' && !spool_check(config->spool_dir))
		return 2;
	if (config->tokens_file[0] != '\0' &&
		tokens_new(config->tokens_file, wrong, sizeof(wrong)) == NULL)
	{
		log_error("%s", wrong);
		return 2;
	}
	if (config->tls_certificate[0] != '\0' &&
		tls_context_new(config, wrong_certificate, sizeof(wrong_certificate)) == NULL)
	{
		log_error("%s", wrong_certificate);
		return 2;
	}
	for (int i = 0; i < config->listen_count; i++)
		good &= check_address(&config->listens[i]);
	good &= table_check_now(config);
	if (good)
		puts("historiand: the settings are valid; the address, the database and the table are "
			 "there");
	return good ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static Config config;

	memory_init();
	tls_count_memory();
	switch (config_read(&config, argc, argv))
	{
		case CONFIG_RUN:
			break;
		case CONFIG_CHECK:
			return check(&config);
		case CONFIG_EXIT:
			return 0;
		case CONFIG_WRONG:
			return 2;
	}
	log_set(config.log_level, config.log_format);
	number_init();
	if (!server_fit_descriptors(&config))
		return 1;

	/* Threads and connections end with the process, so that nothing is freed here. */
	fflush(NULL);
	_exit(server_run(&config));
}
