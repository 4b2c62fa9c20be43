/*
 * decoder.h
 *	  Cuts an input into records, and makes rows of these: what the formats have in common.
 *
 * A record is a line of NDJSON, line protocol or COPY's text form, a record of CSV, or a tuple of
 * COPY's binary form.
 */
#ifndef HISTORIAN_DECODER_H
#define HISTORIAN_DECODER_H

#include <stdbool.h>
#include <stdint.h>

#include "cell.h"
#include "columns.h"
#include "ingest/line_scan.h"
#include "ingest/message_scan.h"
#include "ingest/stage.h"
#include "ingest/tag_table.h"

/* No record is longer.  All formats find the end of a record within so many bytes, or give up. */
#define DECODER_MAX_RECORD ((size_t) 1024 * 1024)

typedef enum DecoderStatus
{
	DECODER_RECORD, /* the record was used: staged, or rejected if error->detail is not empty */
	DECODER_MORE,	/* the record's end is not there yet; nothing was used */
	DECODER_END,	/* this was the end, whatever follows */
	DECODER_BROKEN, /* nothing after this place can be understood; error->detail says why */
} DecoderStatus;

typedef struct Decoder Decoder;

struct Decoder
{
	/*
	 * Decodes the record at *data, and moves *data after it.  Adds the number of lines that it had
	 * to *lines.  last says that nothing follows end.  With DECODER_RECORD and an error nothing is
	 * staged.
	 */
	DecoderStatus (*next)(Decoder *decoder, const char **data, const char *end, bool last,
						  Stage *stage, uint64_t *lines, MessageError *error);
	/* The same for what precedes the first record; NULL: nothing does. */
	DecoderStatus (*header)(Decoder *decoder, const char **data, const char *end, bool last,
							uint64_t *lines, MessageError *error);
	void (*free)(Decoder *decoder);
	bool is_binary;	   /* records are not lines */
	bool merges_lines; /* a row may depend on lines before its own */

	/* The caller sets these, of which each format uses some. */
	CellForm cells;
	ColumnWishes wishes;
	Columns columns; /* once the header is read */
	TagTable *tags;	 /* that have had rows, if the names of columns are kept; else NULL */
};

/* Each makes a decoder whose functions are set. */
extern Decoder *csv_decoder_new(char delimiter);
extern Decoder *json_decoder_new(void);
/* places has the places of fields; NULL: nothing is loaded. */
extern Decoder *points_decoder_new(FieldPlaces *places, int64_t now_ns, bool skip_strings);
extern Decoder *copy_text_decoder_new(void);
extern Decoder *copy_binary_decoder_new(void);

/* Makes the columns from the names in a header, which is text with a delimiter, or of given ones. */
extern bool decoder_set_columns(Decoder *decoder, const ColumnName *names, size_t count,
								MessageError *error);

/*
 * Stages the rows of a record of columns, whose values are the cells.  Returns false with the error,
 * and nothing staged, if it is no row.
 */
extern bool decoder_stage_cells(Decoder *decoder, const Cell *cells, size_t count, Stage *stage,
								MessageError *error);

/* Stages a row whose count values are where stage_reserve() has put them, after checks. */
extern bool decoder_stage_row(Decoder *decoder, Stage *stage, int64_t time_ns, uint32_t count,
							  const char *tag, size_t tag_length, MessageError *error);

extern void decoder_set_error(MessageError *error, const char *field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* HISTORIAN_DECODER_H */
