/*
 * principal.h
 *	  Who makes a request: a name, and what it may do.
 *
 * A principal comes from one of three places:
 *
 *	- a line of --tokens-file, whose token the request has;
 *	- a client certificate.  What checks certificates has to set one thing: HttpConnection.subject,
 *	  once the handshake is complete, to the verified name of the client.  http_authorize() makes the
 *	  principal of it: by the line "NAME SCOPE.. certificate" of --tokens-file, or, without such a
 *	  file, one of that name that may do everything;
 *	- nowhere, if neither is asked for: principal_anyone.
 *
 * A principal never changes.  It is shared by threads, and freed when nobody holds it any more: so a
 * request keeps its own while the file is read again.
 */
#ifndef HISTORIAND_PRINCIPAL_H
#define HISTORIAND_PRINCIPAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PRINCIPAL_NAME_BYTES   64 /* with a NUL, as the next two */
#define PRINCIPAL_ROLE_BYTES   64
#define PRINCIPAL_PREFIX_BYTES 257 /* as long as a tag */

/* So many names are counted by themselves, and all others together: a bound on labels of metrics. */
#define PRINCIPAL_COUNTED_NAMES 50

/* A set of bits. */
typedef enum Scope
{
	SCOPE_NONE = 0,
	SCOPE_READ = 1,
	SCOPE_WRITE = 2,
	SCOPE_ADMIN = 4, /* includes the others */
	SCOPE_ALL = 7,
} Scope;

typedef struct Principal
{
	_Atomic uint32_t holders; /* 0: it is principal_anyone, which nobody frees */
	unsigned scopes;
	int counter; /* of its name, from 0 to PRINCIPAL_COUNTED_NAMES, which is the one of all others */
	size_t prefix_length;
	char prefix[PRINCIPAL_PREFIX_BYTES]; /* of the tags that it may read and write; "": all */
	char name[PRINCIPAL_NAME_BYTES];	 /* "" is principal_anyone */
	char role[PRINCIPAL_ROLE_BYTES]; /* of PostgreSQL, in which it reads; "": historiand's own */
} Principal;

/* May do everything, and has no name. */
extern Principal principal_anyone;

/* Makes a principal with one holder.  The texts fit their members. */
extern Principal *principal_new(const char *name, unsigned scopes, const char *prefix,
								const char *role);

extern Principal *principal_hold(Principal *principal);

/* NULL is allowed. */
extern void principal_release(Principal *principal);

/* Has the principal the scope?  SCOPE_NONE is for whoever has any. */
static inline bool
principal_may(const Principal *principal, Scope scope)
{
	return (principal->scopes & SCOPE_ADMIN) != 0 ||
		   (principal->scopes & scope) == (unsigned) scope;
}

/* May it read or write, as its scopes say, a tag of that name? */
static inline bool
principal_may_tag(const Principal *principal, const char *tag, size_t length)
{
	return length >= principal->prefix_length &&
		   memcmp(tag, principal->prefix, principal->prefix_length) == 0;
}

/* Is it the same in all that a line of the file says? */
extern bool principal_equal(const Principal *a, const Principal *b);

/* The name of a counter, or NULL if it has none yet.  The text stays. */
extern const char *principal_counter_name(int counter);

/* "read", "write", "admin", or several of them with commas between; needs 24 bytes. */
extern const char *principal_put_scopes(unsigned scopes, char *text);

#endif /* HISTORIAND_PRINCIPAL_H */
