/*
 * http_host.h
 *	  The name of a host with its port, as in the header Host.
 */
#ifndef HISTORIAND_HTTP_HOST_H
#define HISTORIAND_HTTP_HOST_H

#include <stddef.h>

/* Bytes of the name, an IPv6 address with its brackets, before ":port"; 0 where it is not valid. */
extern size_t http_host_name_length(const char *host);

#endif /* HISTORIAND_HTTP_HOST_H */
