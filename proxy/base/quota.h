/*
 * quota.h
 *	  What each client has used of the limits on clients (--limit-connections and the others).
 *
 * A client is a name of a token or a certificate or, for what has none, the address that a connection
 * comes from.  An IPv6 address stands for the /64 that it is in, because a machine may choose the rest
 * of it.  All sockets in the file system are one client, as all processes of this machine are that come
 * by loopback.
 *
 * All loops share the quotas.  A quota that is held stays; one that nobody holds is forgotten when all
 * that it has used lies far enough back, or when there are too many.  So clients that come and go,
 * from however many addresses, take memory in proportion to those that are there.
 */
#ifndef HISTORIAND_QUOTA_H
#define HISTORIAND_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct Quotas Quotas;
typedef struct Quota Quota;

/* What is used by the second, and what at once. */
typedef enum QuotaRate
{
	QUOTA_REQUESTS,
	QUOTA_MESSAGES,
	QUOTA_RATES,
} QuotaRate;

typedef enum QuotaUse
{
	QUOTA_CONNECTIONS,
	QUOTA_QUERIES,
	QUOTA_USES,
} QuotaUse;

/* Up to most quotas are kept that nobody holds. */
extern Quotas *quotas_new(size_t most);

/* Finds or makes a quota and holds it, for an address or a name of at most 63 bytes. */
extern Quota *quotas_of_address(Quotas *quotas, const struct sockaddr *address);
extern Quota *quotas_of_name(Quotas *quotas, const char *name);

/* How many there are now. */
extern size_t quotas_count(Quotas *quotas);

/* Holds one that the caller knows to be held. */
extern Quota *quota_hold(Quota *quota);

/* NULL is allowed. */
extern void quota_release(Quota *quota);

/*
 * Uses amount of a rate, so many a second.  What was used in less time than that is a debt, which
 * time pays.  quota_wait_ns() tells how long a client must wait until it may use one more without a
 * debt of more than a second's worth; 0: it need not.
 */
extern void quota_spend(Quota *quota, QuotaRate rate, uint64_t amount, uint64_t a_second,
						uint64_t now_ns);
extern uint64_t quota_wait_ns(const Quota *quota, QuotaRate rate, uint64_t a_second,
							  uint64_t now_ns);

/* Uses one more at once, and returns how many that makes. */
extern uint64_t quota_begin(Quota *quota, QuotaUse use);
extern void quota_end(Quota *quota, QuotaUse use);

#endif /* HISTORIAND_QUOTA_H */
