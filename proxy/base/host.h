/*
 * host.h
 *	  Names and addresses of hosts with their ports, as in the header Host and in --listen.
 */
#ifndef HISTORIAND_HOST_H
#define HISTORIAND_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Bytes of the name, an IPv6 address with its brackets, before ":port"; 0 where it is not valid. */
extern size_t host_name_length(const char *host);

/* Are these the same name and port?  standard is the port where none is given. */
extern bool host_equal(const char *a, const char *b, const char *standard);

/*
 * Is it in a list such as "historian.example.com, .example.org, proxy:8443"?  A name without a port
 * is meant with any where standard is NULL, else with that one.  A leading dot means all names
 * below, too.  * is any host, but no host and port, which standard asks for.
 */
extern bool host_listed(const char *host, const char *list, const char *standard);

/* Is each element of such a list right? */
extern bool host_list_valid(const char *list);

/* Is it an address, this machine's name, or one that nobody can have in the public DNS? */
extern bool host_private(const char *host);

/*
 * Reads "127.0.0.1:8080" or "[::1]:8080"; a zone may follow the latter's address.  Returns NULL, or
 * what is wrong with the text.
 */
extern const char *host_parse_address(const char *text, struct sockaddr_storage *address);

/* Is it an address that only this machine reaches? */
extern bool host_loopback(const struct sockaddr_storage *address);

#endif /* HISTORIAND_HOST_H */
