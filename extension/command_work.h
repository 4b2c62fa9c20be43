/*
 * command_work.h
 *	  What a command gathers for a table and does all at once when it ends.
 */
#ifndef HISTORIAN_COMMAND_WORK_H
#define HISTORIAN_COMMAND_WORK_H

#include "postgres.h"

typedef struct CommandWork CommandWork;

/* Does the work.  Runs in work->context, which is freed afterwards. */
typedef void (*CommandWorkDo) (CommandWork *work);

/* The head of a struct that holds what was gathered. */
struct CommandWork
{
	CommandWork *next;
	CommandWorkDo work_do;
	Oid			relid;
	SubTransactionId subid;
	CommandId	cid;
	TransactionId xid;			/* subid's */
	MemoryContext context;		/* of this struct and of all that it holds */
};

/* Registers the transaction callbacks; called once, when the library is loaded. */
extern void command_work_init(void);

/*
 * The work of this kind of the command cid of the current subtransaction on a table.  Where there
 * is none yet, a zeroed struct of this size is made, whose head is filled in.
 */
extern CommandWork *command_work_find(CommandWorkDo work_do, Oid relid, CommandId cid, Size size);

/* Does what the current subtransaction has gathered for a table, or for all (InvalidOid). */
extern void command_work_flush(Oid relid);

#endif							/* HISTORIAN_COMMAND_WORK_H */
