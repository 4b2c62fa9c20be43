/*
 * command.h
 *	  Tells transitions of tags by a program, which gets each as JSON.
 */
#ifndef HISTORIAND_COMMAND_H
#define HISTORIAND_COMMAND_H

#include "watch/telling.h"

typedef struct Command Command;

/* The arguments, which must stay, begin with the program's path and end with NULL. */
extern Command *command_new(char *const *arguments);

/*
 * The TellFunction.  A transition is told if the program exits with 0.  One that takes longer than
 * the time limit is killed, with what it has started.
 */
extern void command_tell(void *command, Tellings *tellings);

#endif /* HISTORIAND_COMMAND_H */
