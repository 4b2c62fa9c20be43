/*
 * http_framing.h
 *	  Is what a client sends framed as RFC 9112 demands?
 */
#ifndef HISTORIAND_HTTP_FRAMING_H
#define HISTORIAND_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MAX_HEADER_BYTES 16384

/*
 * What a request began with, at most to the name of the field that says where it ends, and what is known
 * there.
 */
typedef struct FramingOpening
{
	uint16_t length;
	bool http_1_0;
	bool chunked; /* this and the next: its last line goes on with the value */
	bool has_length;
	bool has_host;
	uint32_t field_bytes;
	char text[256];
} FramingOpening;

/* Where a connection stands; zeroed for a new one. */
typedef struct Framing
{
	uint8_t state;
	uint8_t digits;	 /* of a chunk's size */
	bool empty_line; /* stands before the request */
	bool http_1_0;
	bool trailer;	   /* its fields stand behind the last chunk */
	bool chunked;	   /* has Transfer-Encoding */
	bool has_length;   /* has Content-Length */
	bool has_host;	   /* has Host */
	bool kept;		   /* value is wanted */
	uint8_t name_size; /* of name; sizeof(name): too long to be one of ours */
	uint8_t value_size;
	char name[18];	/* of the current field */
	char value[40]; /* in lower case, where it is wanted */
	uint32_t field_bytes;
	uint64_t left; /* of the body or chunk */
	int status;	   /* 0, or what to refuse the request with, and why */
	const char *detail;

	/* Of an earlier request; all else is zeroed where the next one begins. */
	FramingOpening opening;
} Framing;

/*
 * Returns how many of these bytes may go on to the parser.  Where that is less than length, status
 * and detail are set, and nothing that follows is looked at any more.
 */
extern size_t framing_check(Framing *framing, const char *data, size_t length);

#endif /* HISTORIAND_HTTP_FRAMING_H */
