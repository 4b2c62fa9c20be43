/*
 * change_output.c
 *	  The output plugin "historian" of logical decoding: published changes as JSON.
 *
 * It sends one JSON object a message: the changes (store/change_text.h), whichever form they have in
 * the WAL, between the beginning and the commit of their transaction:
 *
 *	  {"op":"begin","xid":..,"lsn":"..","time":".."}
 *	  {"op":"commit","xid":..,"lsn":"..","time":".."}
 *
 * A transaction that was cut off is sent again from its beginning.  Positions (lsn) of commits grow, and
 * both objects have that of the commit, so that a consumer can pass over what it has.
 *
 * Transactions without published changes send nothing.  Rows of other tables are not sent.
 *
 * Anybody whom PostgreSQL lets call pg_logical_emit_message() can make messages.  One that is damaged
 * must not stop the slot for ever, so it is passed over with a warning.
 */
#include "postgres.h"

#include "access/xlogdefs.h"
#include "nodes/parsenodes.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"
#include "replication/reorderbuffer.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "store/change_text.h"


/* No message with changes is near it, and what is made of it must fit into an allocation. */
#define LONGEST_MESSAGE (64 * 1024 * 1024)

extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *callbacks);

typedef struct ChangeOutput
{
	MemoryContext context;		/* for one message */
	ReorderBufferTXN *transaction;	/* the present one */
	bool		any;			/* it has sent something */
} ChangeOutput;

static void startup(LogicalDecodingContext *decoding, OutputPluginOptions *options, bool is_init);
static void begin(LogicalDecodingContext *decoding, ReorderBufferTXN *transaction);
static void change(LogicalDecodingContext *decoding, ReorderBufferTXN *transaction, Relation rel,
				   ReorderBufferChange *change);
static void message(LogicalDecodingContext *decoding, ReorderBufferTXN *transaction,
					XLogRecPtr lsn, bool transactional, const char *prefix, Size length,
					const char *bytes);
static void commit(LogicalDecodingContext *decoding, ReorderBufferTXN *transaction,
				   XLogRecPtr lsn);
static bool is_intact(ChangeOutput *output, bool compact, const char *bytes, Size length,
					  XLogRecPtr lsn);
static void check(bool compact, const char *bytes, Size length);
static void send_bound(LogicalDecodingContext *decoding, const ReorderBufferTXN *transaction,
					   const char *op, bool last);
static void send_json(void *argument, const char *json, Size length);

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = startup;
	callbacks->begin_cb = begin;
	callbacks->change_cb = change;
	callbacks->message_cb = message;
	callbacks->commit_cb = commit;
}

static void
startup(LogicalDecodingContext *decoding, OutputPluginOptions *options, bool is_init)
{
	ChangeOutput *output = palloc0(sizeof(ChangeOutput));
	ListCell   *cell;

	output->context = AllocSetContextCreate(decoding->context, "historian changes",
											ALLOCSET_DEFAULT_SIZES);
	decoding->output_plugin_private = output;
	options->output_type = OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
	foreach(cell, decoding->output_plugin_options)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the output plugin \"historian\" has no option \"%s\"",
					   lfirst_node(DefElem, cell)->defname),
				errhint("It has no options."));
}

static void
begin(LogicalDecodingContext *decoding, ReorderBufferTXN *transaction)
{
	ChangeOutput *output = decoding->output_plugin_private;

	output->transaction = transaction;
	output->any = false;
}

static void
change(LogicalDecodingContext *decoding, ReorderBufferTXN *transaction, Relation rel,
	   ReorderBufferChange *change)
{
}

static void
message(LogicalDecodingContext *decoding, ReorderBufferTXN *transaction, XLogRecPtr lsn,
		bool transactional, const char *prefix, Size length, const char *bytes)
{
	ChangeOutput *output = decoding->output_plugin_private;
	MemoryContext caller;
	bool		compact = strcmp(prefix, CHANGE_TEXT_COMPACT) == 0;

	if (!transactional || (!compact && strcmp(prefix, CHANGE_TEXT_JSON) != 0))
		return;
	caller = MemoryContextSwitchTo(output->context);
	if (is_intact(output, compact, bytes, length, lsn))
	{
		if (compact)
			change_text_compact_read(bytes, length, send_json, decoding);
		else
			send_json(decoding, bytes, length);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(output->context);
}

static void
commit(LogicalDecodingContext *decoding, ReorderBufferTXN *transaction, XLogRecPtr lsn)
{
	ChangeOutput *output = decoding->output_plugin_private;

	if (!output->any)
		return;
	send_bound(decoding, transaction, "commit", true);
}

/*
 * Warns of a message that is damaged.  It is checked as a whole first, so that none is sent in part.
 * The check holds nothing but memory, so its errors can be caught without a subtransaction.
 */
static bool
is_intact(ChangeOutput *output, bool compact, const char *bytes, Size length, XLogRecPtr lsn)
{
	ErrorData  *volatile error = NULL;
	int			category;

	PG_TRY();
	{
		check(compact, bytes, length);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(output->context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		/* not if the decoding is cancelled or there is no memory: then it is tried again */
		if (error->sqlerrcode != ERRCODE_DATA_CORRUPTED && category != ERRCODE_DATA_EXCEPTION &&
			category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	if (error == NULL)
		return true;
	ereport(WARNING,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("the message at %X/%X with the prefix \"%s\" is passed over", LSN_FORMAT_ARGS(lsn),
				   compact ? CHANGE_TEXT_COMPACT : CHANGE_TEXT_JSON),
			errdetail("Reading it fails with: %s.", error->message));
	return false;
}

/* Raises an error if a message is damaged. */
static void
check(bool compact, const char *bytes, Size length)
{
	if (length > LONGEST_MESSAGE)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("it is longer than any with changes"));
	if (compact)
		change_text_compact_read(bytes, length, NULL, NULL);
	else
		change_text_json_check(bytes, length);
}

/* Sends the beginning or the commit of a transaction; last tells that nothing follows of it. */
static void
send_bound(LogicalDecodingContext *decoding, const ReorderBufferTXN *transaction, const char *op,
		   bool last)
{
	OutputPluginPrepareWrite(decoding, last);
	appendStringInfo(decoding->out, "{\"op\":\"%s\",\"xid\":%u,\"lsn\":\"%X/%X\",\"time\":\"%s\"}", op,
					 transaction->xid, LSN_FORMAT_ARGS(transaction->end_lsn),
					 timestamptz_to_str(transaction->xact_time.commit_time));
	OutputPluginWrite(decoding, last);
}

static void
send_json(void *argument, const char *json, Size length)
{
	LogicalDecodingContext *decoding = argument;
	ChangeOutput *output = decoding->output_plugin_private;

	if (!output->any)
		send_bound(decoding, output->transaction, "begin", false);
	output->any = true;
	OutputPluginPrepareWrite(decoding, false);
	appendBinaryStringInfo(decoding->out, json, length);
	OutputPluginWrite(decoding, false);
}
