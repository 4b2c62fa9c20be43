/*
 * load_fate.c
 *	  historian.load_mark() and historian.load_fate(): what became of a transaction, across crashes and failovers.
 *
 * pg_xact_status() answers for a transaction number.  After a crash or a failover the same number may have been
 * given to another transaction, because numbers that were never written to disk, or never reached the standby, are
 * given again.  So a loader that lost the answer to its COMMIT could not tell its own transaction from a stranger's.
 *
 * A mark is a record in the WAL, written by the transaction before its commit, with a random token.  If this
 * server's WAL has that record at its place, all that precedes it is this server's history, too: the number still
 * means that transaction, and its status is exact.  If something else is there, or nothing, then the commit, which came
 * later, is not part of this history either.  Only where that WAL has been removed the answer is not known.
 *
 * Nothing is stored but the record, some 100 bytes, which is not waited for.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/timeline.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "access/xlogrecord.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/message.h"
#include "storage/fd.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(historian_load_mark);
PG_FUNCTION_INFO_V1(historian_load_fate);

#define PREFIX		 "historian"
#define TOKEN_BYTES	 16
#define TOKEN_DIGITS (2 * TOKEN_BYTES)

/* What the text of a mark says. */
typedef struct Mark
{
	FullTransactionId transaction;
	XLogRecPtr	position;		/* where its record begins */
	char		token[TOKEN_DIGITS + 1];
} Mark;

/* Whose WAL is read, and up to where. */
typedef struct MarkedWal
{
	List	   *timelines;		/* of this server, the newest first */
	XLogRecPtr	mark;
	XLogRecPtr	end;
	bool		removed;		/* a segment was not there */
} MarkedWal;

static void check_can_commit(const char *function);
static bool mark_parse(Mark *mark, const char *text);
static bool wal_has_mark(const Mark *mark, bool *removed);
static bool record_is_mark(XLogReaderState * reader, const Mark *mark);
static int	read_page(XLogReaderState * reader, XLogRecPtr page, int needed, XLogRecPtr record, char *buffer);
static int	open_segment(MarkedWal *wal, XLogSegNo segment, int segment_size);

/*
 * historian.load_mark() returns text
 *
 * Writes a mark of the current transaction.
 */
Datum
historian_load_mark(PG_FUNCTION_ARGS)
{
	uint8		random[TOKEN_BYTES];
	Mark		mark;

	check_can_commit("historian.load_mark()");
	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("could not make a random token"));
	for (int i = 0; i < TOKEN_BYTES; i++)
		snprintf(mark.token + 2 * i, 3, "%02x", random[i]);
	mark.transaction = GetCurrentFullTransactionId();
	historian_log_message(PREFIX, mark.token, TOKEN_DIGITS, true);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT " %X/%X %s",
											  U64FromFullTransactionId(mark.transaction),
											  LSN_FORMAT_ARGS(ProcLastRecPtr), mark.token)));
}

/*
 * historian.load_fate(mark text) returns text
 *
 * Returns "in progress", "committed" or "aborted" as pg_xact_status() does, or NULL if it cannot be told.
 */
Datum
historian_load_fate(PG_FUNCTION_ARGS)
{
	Mark		mark;
	bool		removed;

	LOCAL_FCINFO(status, 1);
	Datum		result;

	check_can_commit("historian.load_fate()");
	if (!mark_parse(&mark, text_to_cstring(PG_GETARG_TEXT_PP(0))))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				errmsg("this is no mark of a load"),
				errhint("A mark is what historian.load_mark() has returned."));
	if (!wal_has_mark(&mark, &removed))
	{
		if (removed)
			PG_RETURN_NULL();
		PG_RETURN_TEXT_P(cstring_to_text("aborted"));
	}
	InitFunctionCallInfoData(*status, NULL, 1, InvalidOid, NULL, NULL);
	status->args[0].value = FullTransactionIdGetDatum(mark.transaction);
	status->args[0].isnull = false;
	result = pg_xact_status(status);
	if (status->isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/* Both functions write to the WAL, and a standby's history is not decided. */
static void
check_can_commit(const char *function)
{
	PreventCommandIfReadOnly(function);
	PreventCommandDuringRecovery(function);
}

static bool
mark_parse(Mark *mark, const char *text)
{
	uint64		transaction;
	uint32		high;
	uint32		low;
	int			length = 0;

	if (sscanf(text, UINT64_FORMAT " %X/%X %n", &transaction, &high, &low, &length) != 3 ||
		strlen(text +length) != TOKEN_DIGITS || strspn(text +length, "0123456789abcdef") != TOKEN_DIGITS)
		return false;
	mark->transaction = FullTransactionIdFromU64(transaction);
	mark->position = (uint64) high << 32 | low;
	strlcpy(mark->token, text +length, sizeof(mark->token));
	return TransactionIdIsNormal(XidFromFullTransactionId(mark->transaction)) &&
		!XLogRecPtrIsInvalid(mark->position);
}

/*
 * Does this server's WAL have the mark?  If not, *removed tells whether that is so because the segment is not
 * there any more.
 */
static bool
wal_has_mark(const Mark *mark, bool *removed)
{
	MarkedWal	wal = {.mark = mark->position};
	XLogReaderState *reader;
	char	   *error;
	bool		found;

	*removed = false;

	/*
	 * A mark of a transaction that is under way may not be on disk yet: whatever is here is after
	 * it.
	 */
	wal.end = historian_log_message(PREFIX, "", 0, false);
	XLogFlush(wal.end);
	if (mark->position >= wal.end)
		return false;
	wal.timelines = readTimeLineHistory(GetWALInsertionTimeLine());
	reader = XLogReaderAllocate(wal_segment_size, NULL, XL_ROUTINE(.page_read = read_page), &wal);
	if (reader == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("out of memory"));
	XLogBeginRead(reader, mark->position);
	found = XLogReadRecord(reader, &error) != NULL && record_is_mark(reader, mark);
	XLogReaderFree(reader);
	list_free_deep(wal.timelines);
	*removed = wal.removed;
	return found;
}

static bool
record_is_mark(XLogReaderState * reader, const Mark *mark)
{
	const		xl_logical_message *message = (const xl_logical_message *) XLogRecGetData(reader);

	return XLogRecGetRmid(reader) == RM_LOGICALMSG_ID &&
		TransactionIdEquals(XLogRecGetXid(reader), XidFromFullTransactionId(mark->transaction)) &&
		XLogRecGetDataLen(reader) == SizeOfLogicalMessage + sizeof(PREFIX) + TOKEN_DIGITS &&
		message->dbId == MyDatabaseId &&
		message->prefix_size == sizeof(PREFIX) &&
		message->message_size == TOKEN_DIGITS &&
		memcmp(message->message, PREFIX, sizeof(PREFIX)) == 0 &&
		memcmp(message->message + sizeof(PREFIX), mark->token, TOKEN_DIGITS) == 0;
}

/*
 * The page_read callback.  PostgreSQL's own raises an error for a segment that was removed, which here is an answer.
 */
static int
read_page(XLogReaderState * reader, XLogRecPtr page, int needed, XLogRecPtr record, char *buffer)
{
	MarkedWal  *wal = reader->private_data;
	int			segment_size = reader->segcxt.ws_segsize;
	XLogSegNo	segment;
	ssize_t		bytes;
	int			file;

	if (page + needed > wal->end)
		return -1;
	XLByteToSeg(page, segment, segment_size);
	file = open_segment(wal, segment, segment_size);
	if (file < 0)
	{
		wal->removed = true;
		return -1;
	}
	bytes = pg_pread(file, buffer, XLOG_BLCKSZ, XLogSegmentOffset(page, segment_size));
	close(file);
	return bytes == XLOG_BLCKSZ ? (int) Min(XLOG_BLCKSZ, wal->end - page) : -1;
}

/*
 * Opens the newest file of the segment, or returns -1.  After a failover the new timeline's file begins with a
 * copy of the old one's up to where it forked off, and what the old one's file has beyond is of no account.  So no
 * file of a timeline is looked at that had ended before the mark.
 */
static int
open_segment(MarkedWal *wal, XLogSegNo segment, int segment_size)
{
	ListCell   *cell;

	foreach(cell, wal->timelines)
	{
		const		TimeLineHistoryEntry *timeline = lfirst(cell);
		char		path[MAXPGPATH];
		int			file;

		XLogFilePath(path, timeline->tli, segment, segment_size);
		file = BasicOpenFile(path, O_RDONLY | PG_BINARY);
		if (file >= 0)
			return file;
		if (errno != ENOENT)
			ereport(ERROR,
					errcode_for_file_access(),
					errmsg("could not open file \"%s\": %m", path));
		if (timeline->begin <= wal->mark)
			break;
	}
	return -1;
}
