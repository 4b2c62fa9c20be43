/*
 * http_framing.h
 *	  A gate before the parser: checks that requests are framed as RFC 9112 demands.
 */
#ifndef HISTORIAND_HTTP_FRAMING_H
#define HISTORIAND_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MAX_HEADER_BYTES 16384

/*
 * The first bytes of a request, with the state that they lead to.  If the request has
 * Content-Length or Transfer-Encoding, they end after the colon of that field at the latest.
 */
typedef struct FramingOpening
{
	uint16_t length;
	bool http_1_0;
	bool chunked;	 /* the bytes end before the value of Transfer-Encoding */
	bool has_length; /* the bytes end before the value of Content-Length */
	bool has_host;
	uint32_t field_bytes;
	char text[256];
} FramingOpening;

/* The state of a connection's gate; zeroed for a new connection. */
typedef struct Framing
{
	uint8_t state;	 /* an enum of http_framing.c */
	uint8_t digits;	 /* of a chunk's size */
	bool empty_line; /* came before the request */
	bool http_1_0;
	bool trailer;	   /* the last chunk has come, and its fields follow */
	bool chunked;	   /* has Transfer-Encoding */
	bool has_length;   /* has Content-Length */
	bool has_host;	   /* has Host */
	bool kept;		   /* the current field's value is kept */
	uint8_t name_size; /* of name; sizeof(name): longer than the names that matter */
	uint8_t value_size;
	char name[18];	/* of the current field */
	char value[40]; /* of the current field if it is kept, in lower case */
	uint32_t field_bytes;
	uint64_t left; /* of the body or chunk */
	int status;	   /* 0, or the status with which to refuse the request */
	const char *detail;

	/* Is kept from an earlier request; all other members are zeroed for the next one. */
	FramingOpening opening;
} Framing;

/*
 * Returns how many of these bytes may go on to the parser.  If they are not all, sets status and
 * detail, and the caller must not check any more bytes of the connection.
 */
extern size_t framing_check(Framing *framing, const char *data, size_t length);

#endif /* HISTORIAND_HTTP_FRAMING_H */
