/*
 * command.c
 *	  Tells transitions of tags by a program, which gets each as JSON.
 *
 * There is no shell, so that no text of a tag means anything to one.  The JSON is a line on standard
 * input, and the variable HISTORIAN_STALE.  Of the server's environment the program gets only what
 * programs need to run, because the rest may have passwords; of its descriptors only standard error.
 * Each program leads a group of processes, which is killed with it.
 */
#include "watch/command.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define PARALLEL 4

/* How often programs under way are looked at. */
#define LOOK_MS 5

/* How long programs go on while the server stops.  It is less than what it waits for before it ends. */
#define STOP_MS 4000

#define VARIABLE "HISTORIAN_STALE="

/* What the program gets of the environment. */
static const char *const kept[] = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"};

#define KEPT (sizeof(kept) / sizeof(kept[0]))

/* A program under way. */
typedef struct Child
{
	pid_t pid; /* 0: none */
	Telling *telling;
	uint64_t end_ms; /* it is killed then */
	bool killed;
} Child;

struct Command
{
	char *const *arguments;
	Child children[PARALLEL];
	uint64_t stopping_ms; /* when the server was seen to stop; 0: it does not */
};

static bool begin(const Command *command, Child *child, Tellings *tellings, Telling *telling);
static int spawn(char *const *arguments, char *const *environment, const char *body, pid_t *pid);
static int spawn_reading(char *const *arguments, char *const *environment, int input, pid_t *pid);
static void look(const Command *command, Child *child, Tellings *tellings);

Command *
command_new(char *const *arguments)
{
	Command *command = memory_new(sizeof(Command));

	command->arguments = arguments;
	/* Whoever started the server may have ignored it; then the ends of programs would get lost. */
	signal(SIGCHLD, SIG_DFL);
	return command;
}

void
command_tell(void *argument, Tellings *tellings)
{
	Command *command = argument;
	int next = 0;
	int running;

	do
	{
		running = 0;
		if (command->stopping_ms == 0 && atomic_load(tellings->stopping))
			command->stopping_ms = uv_hrtime() / 1000000;
		for (int i = 0; i < PARALLEL; i++)
		{
			Child *child = &command->children[i];

			if (child->pid != 0)
				look(command, child, tellings);
			while (child->pid == 0 && next < tellings->count && telling_may_begin(tellings))
				begin(command, child, tellings, &tellings->items[next++]);
			running += child->pid != 0;
		}
		if (running > 0)
			poll(NULL, 0, LOOK_MS);
	} while (running > 0);
}

/* Starts the program for a transition. */
static bool
begin(const Command *command, Child *child, Tellings *tellings, Telling *telling)
{
	char *environment[KEPT + 2];
	int variables = 0;
	Bytes event = {0};
	Bytes copies[KEPT] = {{0}};
	int error;

	telling->tried = true;
	for (size_t i = 0; i < KEPT; i++)
	{
		const char *value = getenv(kept[i]);

		if (value == NULL)
			continue;
		bytes_printf(&copies[i], "%s=%s", kept[i], value);
		environment[variables++] = bytes_text(&copies[i]);
	}
	bytes_printf(&event, VARIABLE "%s", telling->body);
	environment[variables++] = bytes_text(&event);
	environment[variables] = NULL;
	error = spawn(command->arguments, environment, telling->body, &child->pid);
	if (error != 0)
	{
		child->pid = 0;
		snprintf(tellings->why, sizeof(tellings->why), "it cannot be started: %s", strerror(error));
	}
	else
	{
		child->telling = telling;
		child->killed = false;
		child->end_ms = uv_hrtime() / 1000000 + tellings->timeout_ms;
	}
	bytes_free(&event);
	for (size_t i = 0; i < KEPT; i++)
		bytes_free(&copies[i]);
	return error == 0;
}

/* Starts a program with the body as its input.  Returns 0 or an errno. */
static int
spawn(char *const *arguments, char *const *environment, const char *body, pid_t *pid)
{
	Bytes line = {0};
	int ends[2];
	int error;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return errno;
	/* The pipe has room for more than a body, so that nothing waits for the program to read. */
	bytes_printf(&line, "%s\n", body);
	error = write(ends[1], line.data, line.length) == (ssize_t) line.length ? 0 : EIO;
	bytes_free(&line);
	close(ends[1]);
	/* The program expects an input that blocks. */
	if (error == 0 && fcntl(ends[0], F_SETFL, 0) != 0)
		error = errno;
	if (error == 0)
		error = spawn_reading(arguments, environment, ends[0], pid);
	close(ends[0]);
	return error;
}

static int
spawn_reading(char *const *arguments, char *const *environment, int input, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t signals;
	int error;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
											  POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attributes, 0);
	sigemptyset(&signals);
	posix_spawnattr_setsigmask(&attributes, &signals);
	sigfillset(&signals);
	posix_spawnattr_setsigdefault(&attributes, &signals);
	error = posix_spawn(pid, arguments[0], &files, &attributes, arguments, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return error;
}

/* Has the program ended?  Kills it if its time is over, or the server would end before it. */
static void
look(const Command *command, Child *child, Tellings *tellings)
{
	uint64_t now_ms = uv_hrtime() / 1000000;
	bool stopping = command->stopping_ms != 0 && now_ms - command->stopping_ms >= STOP_MS;
	int status;

	if (!child->killed && (stopping || now_ms >= child->end_ms))
	{
		child->killed = true;
		kill(-child->pid, SIGKILL);
	}
	if (waitpid(child->pid, &status, WNOHANG) == 0)
		return;
	child->telling->told = !child->killed && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (child->killed && stopping)
		snprintf(tellings->why, sizeof(tellings->why), "it was killed because historiand stops");
	else if (child->killed)
		snprintf(tellings->why, sizeof(tellings->why), "it was killed after %llu ms",
				 (unsigned long long) tellings->timeout_ms);
	else if (WIFSIGNALED(status))
		snprintf(tellings->why, sizeof(tellings->why), "signal %d ended it", WTERMSIG(status));
	else if (!child->telling->told)
		snprintf(tellings->why, sizeof(tellings->why), "it exited with %d", WEXITSTATUS(status));
	child->pid = 0;
}
