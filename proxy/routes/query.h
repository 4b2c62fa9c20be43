/*
 * query.h
 *	  What the requests that read have in common: parameters, failures, rows as JSON.
 */
#ifndef HISTORIAND_QUERY_H
#define HISTORIAND_QUERY_H

#include "http/http_exchange.h"
#include "database/pg_pool.h"

/* Which parameters a request takes. */
#define QUERY_TAG	  0x01
#define QUERY_START	  0x02
#define QUERY_END	  0x04
#define QUERY_SAMPLES 0x08
#define QUERY_METHOD  0x10
#define QUERY_PREFIX  0x20
#define QUERY_TAGS	  0x40 /* tag, any number of times */
#define QUERY_TIME	  0x80
#define QUERY_FORMAT  0x100

typedef struct QueryParameters QueryParameters;

/* Appends ,"member":value for the columns of a row behind its tag. */
typedef void (*QueryPutRest)(Bytes *body, const QueryParameters *parameters, const PGresult *row);

/* As given and decoded, NULL where not given; text without NUL. */
struct QueryParameters
{
	char *tag; /* 1 to 256 bytes of UTF-8; of several tags the first */
	char *start;
	char *end;
	char *samples;
	char *method;
	char *format;
	char *prefix;	 /* UTF-8 */
	Bytes tag_array; /* several tags as the text of a text[] */
	int tag_count;	 /* of the array */
	bool string_times;
	bool time_given;

	PgQuery *query; /* being executed for them, or NULL */
	QueryCallback callback;

	/* Of query_answer_tags(). */
	Bytes body; /* the answer, as far as its rows have come */
	bool has_tags;
	QueryPutRest put_rest;
};

/*
 * Reads the parameters, each once unless said otherwise; parameters is zeroed.  Returns false after
 * having answered 400 because of one that is broken or not among those taken.
 */
extern bool query_parameters_read(Exchange *exchange, QueryParameters *parameters, unsigned takes);

/* Cancels a query that is still under way. */
extern void query_parameters_free(QueryParameters *parameters);

/*
 * For routes whose state is their parameters: reads them into it, with the same result, and frees
 * them on release.
 */
extern bool query_begin(Exchange *exchange, unsigned takes);
extern void query_release(Exchange *exchange);

/* A whole number that fills the text. */
extern bool query_integer(const char *text, int64_t *value);

/*
 * After query_begin(): submits to the loop's pool, exchange being the callbacks' argument, or
 * answers 503.  query_release() ends the query of a client that has left.
 */
extern void query_submit(Exchange *exchange, const char *sql, int argument_count,
						 const char *const *arguments, RowCallback on_row, QueryCallback callback);

/*
 * Submits a query and answers with its rows as {"name":[{"tag":..},..]}: each row begins with its tag.
 * Or tells why there is no result.
 */
extern void query_answer_tags(Exchange *exchange, const char *sql, int argument_count,
							  const char *const *arguments, const char *name,
							  QueryPutRest put_rest);

/* Answers a query that has no result. */
extern void query_answer_failure(Exchange *exchange, const QueryOutcome *outcome);

/* Appends a time, as a string where asked for. */
extern void query_put_time(Bytes *out, const char *time, bool string);

/*
 * Appends values from PostgreSQL's text of a float8[], the shortest that reads back as the same
 * doubles: JSON needs only its brackets, and null for what it has no number for.
 */
extern void query_put_values(Bytes *out, const char *text, size_t length);

#endif /* HISTORIAND_QUERY_H */
