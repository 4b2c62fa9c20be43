/*
 * command_work.h
 *	  What a command gathers for a table and does all at once when it ends.
 */
#ifndef HISTORIAN_COMMAND_WORK_H
#define HISTORIAN_COMMAND_WORK_H

#include "postgres.h"

typedef struct CommandWork CommandWork;

typedef struct CommandWorkKind
{
	/* Does the work.  Runs in work->context, which is freed afterwards. */
	void		(*work_do) (CommandWork *work);

	/*
	 * Whether it may be done in parts, for a reader in the middle of the command.  What may not
	 * is done when the command ends, before what may.
	 */
	bool		divisible;
} CommandWorkKind;

/* The head of a struct that holds what was gathered. */
struct CommandWork
{
	CommandWork *next;
	const CommandWorkKind *kind;
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
extern CommandWork *command_work_find(const CommandWorkKind *kind, Oid relid, CommandId cid,
									  Size size);

/* Is this all that the transaction has gathered, for any table? */
extern bool command_work_is_alone(const CommandWork *work);

/* Does the divisible work that the current subtransaction has gathered for a table. */
extern void command_work_flush(Oid relid);

/* Does all that a command of the current subtransaction has gathered: it ends. */
extern void command_work_finish(CommandId cid);

#endif							/* HISTORIAN_COMMAND_WORK_H */
