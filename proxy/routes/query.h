/*
 * query.h
 *	  Functions for requests that read: parameters, failures, rows as JSON.
 */
#ifndef HISTORIAND_QUERY_H
#define HISTORIAND_QUERY_H

#include "base/timestamp.h"
#include "http/http_exchange.h"
#include "database/pg_reads.h"

/* The parameters that a request takes, as a set of bits. */
#define QUERY_TAG		0x01
#define QUERY_START		0x02
#define QUERY_END		0x04
#define QUERY_SAMPLES	0x08
#define QUERY_METHOD	0x10
#define QUERY_PREFIX	0x20
#define QUERY_TAGS		0x40 /* tag, any number of times */
#define QUERY_TIME		0x80
#define QUERY_FORMAT	0x100
#define QUERY_PRECISION 0x200
#define QUERY_STEP		0x400
#define QUERY_ALIGN		0x800
#define QUERY_COLUMNS	0x10000
#define QUERY_LAYOUT	0x20000
#define QUERY_VALUE		0x40000
#define QUERY_COMMIT	0x80000 /* min_commit */
#define QUERY_STREAM	0x100000
#define QUERY_QUIET_FOR 0x200000
#define QUERY_TIMEOUT	0x400000
#define QUERY_EXPECT	0x800000
#define QUERY_AFTER		0x1000000 /* after_tag and after_time */
#define QUERY_ALL		0x2000000
#define QUERY_QUANTILES 0x4000000

typedef struct QueryParameters QueryParameters;

/* How an answer has times; integers, quoted or not, are in the unit of precision=. */
typedef enum TimeForm
{
	TIME_FORM_INTEGER,
	TIME_FORM_STRING,
	TIME_FORM_RFC3339,
} TimeForm;

/* Appends ,"member":value for each column of a row after its tag. */
typedef void (*QueryPutRest)(Bytes *body, const QueryParameters *parameters, const PGresult *row);

/* The parameters as they were given, decoded and without NUL; NULL: not given. */
struct QueryParameters
{
	char *tag; /* 1 to 256 bytes of UTF-8; the first of several tags */
	char *start;
	char *end;
	char *samples;
	char *step;
	char *align;
	char *method;
	char *format;
	char *columns;
	char *layout;
	char *value;
	char *stream;
	char *quiet_for;
	char *timeout;
	char *expect;
	char *after_tag; /* as tag */
	char *after_time;
	char *all;
	char *quantiles;
	char *prefix;	  /* UTF-8 */
	char *min_commit; /* a position of the WAL */
	Bytes tag_array;  /* several tags as the text of a text[] */
	int tag_count;	  /* of the array */
	const Principal *principal;
	bool forbidden; /* a tag is not for the principal */
	bool time_given;
	bool precision_given;
	TimeForm time_form;
	TimestampRules times; /* how integers are read as times, and written */

	/* of query_read_window() */
	int64_t start_ns;
	int64_t end_ns;

	PgRead *read;	/* the query under way that reads, or NULL */
	PgQuery *query; /* that writes */
	QueryCallback callback;

	/* of query_answer_tags() */
	Bytes body; /* the answer, with the rows that have come so far */
	bool has_tags;
	QueryPutRest put_rest;
};

/*
 * Reads the parameters into the zeroed struct.  Each may be given once, except with QUERY_TAGS.  If
 * one is broken or not taken, answers 400 and returns false.
 */
extern bool query_parameters_read(Exchange *exchange, QueryParameters *parameters, unsigned takes);

/* Cancels a query that is still under way. */
extern void query_parameters_free(QueryParameters *parameters);

/*
 * For routes whose state is their parameters: query_begin() reads them into it, with the same
 * result, and query_release() frees them.
 */
extern bool query_begin(Exchange *exchange, unsigned takes);
extern void query_release(Exchange *exchange);

/*
 * Takes the tag from the path of the request, which is where the route's own path has "{tag}".  If
 * it cannot be a tag, answers 400 and returns false.
 */
extern bool query_path_tag(Exchange *exchange, QueryParameters *parameters);

/* Is the body of the request to be JSON, not compressed?  If not, answers 415 and returns false. */
extern bool query_body_is_json(Exchange *exchange);

/* Adds a tag to the text of an array of PostgreSQL's, which is empty at first. */
extern void query_array_add(Bytes *array, const char *tag, size_t length);

/* Reads a text that is a whole number and nothing else. */
extern bool query_integer(const char *text, int64_t *value);

/*
 * Reads start and end as times.  Without them the window ends now, and is an hour long; or, with
 * all, it reaches from INT64_MIN to INT64_MAX.  If one is no time, or start is not before end,
 * answers 400 and returns false.
 */
extern bool query_read_window(Exchange *exchange, QueryParameters *parameters, bool all);

/*
 * The same for a range that is to be changed: start and end must be given, and the tag too, so that
 * nobody changes everything by leaving them out.
 */
extern bool query_read_range(Exchange *exchange, QueryParameters *parameters);

/* Reads the text of one parameter as a time; if it is none, answers 400 and returns false. */
extern bool query_read_time(Exchange *exchange, const char *name, const char *text,
							int64_t *time_ns);

/* For whom a query of the request is. */
extern QuerySource query_source(const Exchange *exchange);

/*
 * Submits a query that reads, with exchange as the callbacks' argument, or answers 503.
 * The exchange's state begins with its QueryParameters.  When they are freed, the query is
 * cancelled.
 */
extern void query_submit(Exchange *exchange, const char *sql, int argument_count,
						 const char *const *arguments, RowCallback on_row, QueryCallback callback);

/* Submits a statement that writes, or must see what the primary has. */
extern void query_submit_write(Exchange *exchange, const char *sql, int argument_count,
							   const char *const *arguments, RowCallback on_row,
							   QueryCallback callback);

/*
 * Submits a query whose first column is a tag, and answers with its rows as
 * {"name":[{"tag":..},..]}, or with the query's failure.
 */
extern void query_answer_tags(Exchange *exchange, const char *sql, int argument_count,
							  const char *const *arguments, const char *name,
							  QueryPutRest put_rest);

/*
 * Answers with the failure of a query.  The second function answers with PostgreSQL's message in any
 * case, with the status given, and with the member of the body that is to blame as field, unless it
 * is NULL.
 */
extern void query_answer_failure(Exchange *exchange, const QueryOutcome *outcome);
extern void query_answer_error(Exchange *exchange, int status, const char *field,
							   const QueryOutcome *outcome);

/*
 * Appends a time in the form that was asked for.  It is the text of nanoseconds, as PostgreSQL has
 * it.
 */
extern void query_put_time(Bytes *out, const QueryParameters *parameters, const char *time,
						   size_t length);
extern void query_put_time_ns(Bytes *out, const QueryParameters *parameters, int64_t time_ns);

/* Writes a time in that form, but without quotes, into TIMESTAMP_TEXT_BYTES. */
extern void query_write_time(const QueryParameters *parameters, int64_t time_ns, char *text);

/*
 * Appends values as JSON from PostgreSQL's text of a float8[], which is the shortest that reads
 * back as the same doubles.  Only brackets are changed, and null replaces NULL, NaN and infinities.
 */
extern void query_put_values(Bytes *out, const char *text, size_t length);

#endif /* HISTORIAND_QUERY_H */
