/*
 * command_work.h
 *	  What a command gathers for a table and does all at once when it ends.
 */
#ifndef HISTORIAN_COMMAND_WORK_H
#define HISTORIAN_COMMAND_WORK_H

#include "postgres.h"

#include "utils/rel.h"
#include "utils/snapshot.h"

typedef struct CommandWork CommandWork;

typedef struct CommandWorkKind
{
	/* Does the work.  Runs in work->context, which is freed afterwards. */
	void		(*work_do) (CommandWork *work);

	/*
	 * Whether it may be done in parts, for a reader in the middle of the command.  What may not is
	 * done when the command ends, before what may.
	 */
	bool		divisible;
} CommandWorkKind;

/* The head of a struct that holds what was gathered. */
struct CommandWork
{
	CommandWork *next;			/* gathered later */
	const CommandWorkKind *kind;
	Oid			relid;
	SubTransactionId subid;
	CommandId	first_cid;		/* below cid where it is that of several commands */
	CommandId	cid;
	TransactionId xid;			/* subid's */
	MemoryContext context;		/* of this struct and of all that it holds */
	Size		bytes;			/* that it holds, if its kind counts them */
};

/* Registers the hook and the transaction callbacks; called once, when the library is loaded. */
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
extern void command_work_write(Oid relid);

/* Tells how many bytes the work holds now. */
extern void command_work_count(CommandWork *work, Size bytes);

/*
 * Does divisible work, of the table that has most of it first, while the current subtransaction's
 * work holds more bytes than the limit.
 */
extern void command_work_limit(Size limit);

/*
 * Sees to it that a reader under this snapshot finds in the table what earlier commands of the
 * transaction have gathered: does it, or raises an error where it cannot be done yet.
 */
extern void command_work_before_read(Relation rel, Snapshot snapshot);

/*
 * The same for a caller that changes the table as a whole, or that changes rows without a command
 * of its own (TRUNCATE, historian.delete()): does all that the transaction has gathered for it.
 */
extern void command_work_before_change(Relation rel);

#endif							/* HISTORIAN_COMMAND_WORK_H */
