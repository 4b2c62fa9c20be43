/*
 * change.h
 *	  What requests have in common that change stored samples: an edit, and its outcome as an answer.
 */
#ifndef HISTORIAND_CHANGE_H
#define HISTORIAND_CHANGE_H

#include "http/http_exchange.h"
#include "ingest/batch.h"

typedef struct Change Change;

/* Answers after the change is committed; value is the text that the SQL has returned, or "". */
typedef void (*ChangeAnswer)(Exchange *exchange, const char *value);

/*
 * Submits an edit (edit.h), and sets *change, which is part of the exchange's state.  A failure is
 * answered, also at once if too many are waiting: then that state may be freed already.
 */
extern void change_submit(Exchange *exchange, Change **change, const char *sql, Batch *rows,
						  ChangeAnswer answer);

/* Frees the change, and ends its edit if that is under way.  NULL is allowed. */
extern void change_release(Change *change);

/* Appends the table of --table, as a regclass in SQL; and a text as one. */
extern void change_put_table(Bytes *sql, const Exchange *exchange);
extern void change_put_text(Bytes *sql, const char *text);

/* Answers {"tag":..,"removed":..} of a deletion, which is noted in the log. */
extern void change_answer_removed(Exchange *exchange, const char *action, const char *tag,
								  const char *removed);

#endif /* HISTORIAND_CHANGE_H */
