/*
 * stream_name.h
 *	  The names of streams that producers give with their messages, each once in the process.
 *
 * A name lives as long as the process.  There is one for messages without a name: the empty one.
 */
#ifndef HISTORIAND_STREAM_NAME_H
#define HISTORIAND_STREAM_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_NAME_MAX_BYTES 128

typedef struct StreamName
{
	struct StreamName *next; /* in its bucket */

	/* changed by ingest_append() alone */
	_Atomic uint64_t accepted;	 /* messages */
	_Atomic uint64_t generation; /* of the batch that has the last of them; 0: there were none */

	/* of the thread that loads */
	uint64_t tally;
	struct StreamName *next_tallied;

	size_t length;
	char text[];
} StreamName;

/* May a stream have that name?  It consists of printable ASCII, so that every database has room for it. */
extern bool stream_name_valid(const char *text, size_t length);

/* The stream of a name, if the process knows it; it takes no room for another one. */
extern StreamName *stream_name_known(const char *text, size_t length);

/*
 * The stream of a valid name.  NULL: the process knows too many other ones already.  The empty name
 * always has one.
 */
extern StreamName *stream_name_of(const char *text, size_t length);

#endif /* HISTORIAND_STREAM_NAME_H */
