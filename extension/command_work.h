/*
 * command_work.h
 *	  Work that a command gathers for a table, and that is done all at once when the command ends.
 */
#ifndef HISTORIAN_COMMAND_WORK_H
#define HISTORIAN_COMMAND_WORK_H

#include "postgres.h"

#include "utils/rel.h"
#include "utils/snapshot.h"

typedef struct CommandWork CommandWork;

typedef struct CommandWorkKind
{
	/* Does the work, in the memory context work->context, which is deleted afterwards. */
	void		(*work_do) (CommandWork *work);

	/*
	 * Divisible work may be done in parts, before the command ends: for a reader, or to free
	 * memory.
	 */
	bool		divisible;
} CommandWorkKind;

/* The head of a struct that holds what has been gathered. */
struct CommandWork
{
	CommandWork *next;			/* gathered later */
	const CommandWorkKind *kind;
	Oid			relid;
	SubTransactionId subid;
	CommandId	first_cid;		/* less than cid if several commands share the work */
	CommandId	cid;
	TransactionId xid;			/* of the subtransaction subid */
	MemoryContext context;		/* has this struct and all that it points to */
	Size		bytes;			/* gathered, as far as the kind counts them */
};

/* Registers the hook and the transaction callbacks; called once, when the library is loaded. */
extern void command_work_init(void);

/*
 * Returns the work of this kind that command cid of the current subtransaction gathers for a table.
 * If there is none yet, makes a zeroed struct of the given size and fills in its head.
 */
extern CommandWork *command_work_find(const CommandWorkKind *kind, Oid relid, CommandId cid,
									  Size size);

/* Is this the only work of the transaction, for any table? */
extern bool command_work_is_alone(const CommandWork *work);

/* Does the transaction have other work than this, for any table? */
extern bool command_work_has_other(const CommandWork *work);

/* Does all divisible work that the current subtransaction has gathered for a table. */
extern void command_work_write(Oid relid);

/* Sets the number of bytes that the work holds. */
extern void command_work_count(CommandWork *work, Size bytes);

/*
 * Does divisible work, the largest first and with it all of its table, until the divisible work of
 * the current subtransaction holds at most limit bytes.
 */
extern void command_work_limit(Size limit);

/*
 * Call before a read of the table.  Does the work of earlier commands of the transaction that the
 * snapshot must see, or raises an error if it cannot be done yet.
 */
extern void command_work_before_read(Relation rel, Snapshot snapshot);

/*
 * Call before a change of the table as a whole, or of rows by no command of their own (TRUNCATE,
 * historian.delete()).  Does all work of the transaction for the table, or raises the same error.
 */
extern void command_work_before_change(Relation rel);

#endif							/* HISTORIAN_COMMAND_WORK_H */
