/*
 * host.h
 *	  Names and addresses of hosts with their ports, as in the header Host and in --listen.
 */
#ifndef HISTORIAND_HOST_H
#define HISTORIAND_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/*
 * Returns the length of the name, or of the bracketed IPv6 address, before ":port"; 0: not valid.
 */
extern size_t host_name_length(const char *host);

/* Are these the same name and port?  A host without a port has the port standard. */
extern bool host_equal(const char *a, const char *b, const char *standard);

/*
 * Does a list such as "historian.example.com, .example.org, proxy:8443" have the host?  An element
 * without a port matches the port standard, or every port if standard is NULL.  An element with a
 * leading dot matches the name and all names below it.  "*" matches every host if standard is NULL,
 * and otherwise none.
 */
extern bool host_listed(const char *host, const char *list, const char *standard);

/* Is each element of such a list valid? */
extern bool host_list_valid(const char *list);

/*
 * Returns the host, perhaps with a port, of an origin such as "https://a.example:8443", and sets the
 * port that its scheme has as standard; NULL: it is none.
 */
extern const char *host_of_origin(const char *origin, const char **standard);

/*
 * Does a list of origins, separated by commas, have the origin?  Scheme, name and port must be the
 * same.
 */
extern bool host_origin_listed(const char *origin, const char *list);

/* Is each element of such a list the origin of one site? */
extern bool host_origin_list_valid(const char *list);

/* Is it an address, this machine's name, or a name that the public DNS cannot have? */
extern bool host_private(const char *host);

/*
 * Reads "127.0.0.1:8080", "[::1]:8080", or "unix:/path", a sockaddr_un then; an IPv6 address may end with a zone.  Returns NULL, or
 * what is wrong with the text.
 */
extern const char *host_parse_address(const char *text, struct sockaddr_storage *address);

/* Is it an address that only this machine can reach?  A socket in the file system is one. */
extern bool host_loopback(const struct sockaddr_storage *address);

#endif /* HISTORIAND_HOST_H */
