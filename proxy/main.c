/*
 * main.c
 *	  historiand: takes messages over HTTP, loads them into PostgreSQL, answers queries.
 */
#include "config.h"
#include "log.h"
#include "number.h"
#include "server.h"

#include <stdio.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	static Config config;

	switch (config_read(&config, argc, argv))
	{
		case CONFIG_RUN:
			break;
		case CONFIG_EXIT:
			return 0;
		case CONFIG_WRONG:
			return 2;
	}
	log_set(config.log_level, config.log_format);
	number_init();
	if (!server_fit_descriptors(&config))
		return 1;

	/* Threads and connections end with the process: nothing is freed one by one. */
	fflush(NULL);
	_exit(server_run(&config));
}
