/*
 * commands.h
 *	  The commands of the program historian.
 *
 * Each is called with its own name as argv[0], and returns the exit code.
 */
#ifndef HISTORIAN_COMMANDS_H
#define HISTORIAN_COMMANDS_H

/* The exit codes; the man page has them too. */
#define EXIT_FAILED	  1 /* something failed, or check or doctor has found something */
#define EXIT_USAGE	  2 /* the command line is wrong */
#define EXIT_REJECTED 3 /* import: the end was reached, but rows were rejected */

extern int command_import(int argc, char **argv);
extern int command_export(int argc, char **argv);
extern int command_tags(int argc, char **argv);
extern int command_tail(int argc, char **argv);
extern int command_check(int argc, char **argv);
extern int command_doctor(int argc, char **argv);
extern int command_token(int argc, char **argv);

#endif /* HISTORIAN_COMMANDS_H */
