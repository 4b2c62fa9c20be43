/*
 * quota.c
 *	  What each client has used of the limits on clients.
 *
 * Of each rate a quota keeps one number: when the client's debt is paid (the "theoretical arrival
 * time" of the generic cell rate algorithm, ITU-T I.371).  So a quota is as good as new once that time
 * has passed, and need not be kept.
 *
 * The lock guards the table.  A quota that is held is used without it.  Holders go from none to one
 * only under the lock, so that a quota without holders is not taken up while it is freed.
 */
#include "base/quota.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/memory.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uv.h>

#define SECOND_NS UINT64_C(1000000000)
#define KEY_BYTES 64
#define BUCKETS	  8192
#define LOOKED_AT 8 /* how many old quotas are looked at for each new one */

struct Quota
{
	ListLink bucket; /* in Quotas.buckets */
	ListLink age;	 /* in Quotas.by_age */
	atomic_size_t holders;
	_Atomic uint64_t paid_ns[QUOTA_RATES];
	_Atomic uint64_t used[QUOTA_USES];
	char key[KEY_BYTES]; /* zero behind the address or name, whose kind comes first */
};

struct Quotas
{
	pthread_mutex_t lock;
	List buckets[BUCKETS];
	List by_age; /* of Quota.age: those that were looked up or looked at last are last */
	size_t count;
	size_t most;
	uint64_t hash_key[2]; /* keeps a client from choosing addresses that collide */
};

Quotas *
quotas_new(size_t most)
{
	Quotas *quotas = memory_new(sizeof(Quotas));

	pthread_mutex_init(&quotas->lock, NULL);
	quotas->most = most;
	list_init(&quotas->by_age);
	for (int i = 0; i < BUCKETS; i++)
		list_init(&quotas->buckets[i]);
	if (getrandom(quotas->hash_key, sizeof(quotas->hash_key), GRND_NONBLOCK) !=
		sizeof(quotas->hash_key))
		quotas->hash_key[1] = (uint64_t) (uintptr_t) quotas;
	return quotas;
}

/* Multiplies and folds a word at a time. */
static List *
bucket_of(Quotas *quotas, const char *key)
{
	uint64_t hash = quotas->hash_key[1];

	for (int i = 0; i < KEY_BYTES; i += 8)
	{
		uint64_t word;
		unsigned __int128 product;

		memcpy(&word, key + i, 8);
		product = (unsigned __int128) (hash ^ word) *
				  (quotas->hash_key[0] ^ UINT64_C(0x9E3779B97F4A7C15));
		hash = (uint64_t) product ^ (uint64_t) (product >> 64);
	}
	return &quotas->buckets[hash % BUCKETS];
}

/* Would a new quota be as good? */
static bool
as_new(const Quota *quota, uint64_t now_ns)
{
	for (int i = 0; i < QUOTA_RATES; i++)
	{
		if (quota->paid_ns[i] > now_ns)
			return false;
	}
	return true;
}

static void
forget(Quotas *quotas, Quota *quota)
{
	for (int i = 0; i < QUOTA_USES; i++)
		ASSERT(quota->used[i] == 0);
	list_remove(&quota->bucket);
	list_remove(&quota->age);
	quotas->count--;
	free(quota);
}

/*
 * Looks at the oldest quotas, and frees those that are not needed.  As more are looked at than are
 * made, few are kept for nothing.  Over the bound those with debts are not kept either: a client that
 * comes again then has none, which costs others less than to refuse clients that are new.
 */
static void
forget_some(Quotas *quotas)
{
	uint64_t now_ns = uv_hrtime();

	for (int i = 0; i < LOOKED_AT && !list_empty(&quotas->by_age); i++)
	{
		Quota *quota = LIST_ITEM(list_first(&quotas->by_age), Quota, age);

		if (atomic_load(&quota->holders) == 0 &&
			(quotas->count >= quotas->most || as_new(quota, now_ns)))
			forget(quotas, quota);
		else
		{
			list_remove(&quota->age);
			list_append(&quotas->by_age, &quota->age);
		}
	}
}

static Quota *
find(Quotas *quotas, const char *key)
{
	List *bucket = bucket_of(quotas, key);
	Quota *quota = NULL;

	pthread_mutex_lock(&quotas->lock);
	for (ListLink *link = list_first(bucket); link != NULL; link = list_next(bucket, link))
	{
		quota = LIST_ITEM(link, Quota, bucket);
		if (memcmp(quota->key, key, KEY_BYTES) == 0)
			break;
		quota = NULL;
	}
	if (quota == NULL)
	{
		forget_some(quotas);
		quota = memory_new(sizeof(Quota));
		memcpy(quota->key, key, KEY_BYTES);
		list_append(bucket, &quota->bucket);
		list_append(&quotas->by_age, &quota->age);
		quotas->count++;
	}
	atomic_fetch_add(&quota->holders, 1);
	pthread_mutex_unlock(&quotas->lock);
	return quota;
}

Quota *
quotas_of_address(Quotas *quotas, const struct sockaddr *address)
{
	const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *) address)->sin6_addr;
	char key[KEY_BYTES] = "u";

	if (address->sa_family == AF_INET ||
		(address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(ipv6)))
	{
		key[0] = '4';
		memcpy(key + 1,
			   address->sa_family == AF_INET
				   ? (const void *) &((const struct sockaddr_in *) address)->sin_addr
				   : &ipv6->s6_addr[12],
			   4);
	}
	else if (address->sa_family == AF_INET6)
	{
		key[0] = '6';
		memcpy(key + 1, ipv6->s6_addr, 8);
	}
	return find(quotas, key);
}

Quota *
quotas_of_name(Quotas *quotas, const char *name)
{
	char key[KEY_BYTES] = "n";

	ASSERT(strlen(name) < KEY_BYTES);
	memcpy(key + 1, name, strlen(name));
	return find(quotas, key);
}

size_t
quotas_count(Quotas *quotas)
{
	size_t count;

	pthread_mutex_lock(&quotas->lock);
	count = quotas->count;
	pthread_mutex_unlock(&quotas->lock);
	return count;
}

Quota *
quota_hold(Quota *quota)
{
	size_t before = atomic_fetch_add(&quota->holders, 1);

	ASSERT(before > 0);
	return quota;
}

void
quota_release(Quota *quota)
{
	if (quota != NULL)
	{
		size_t before = atomic_fetch_sub(&quota->holders, 1);

		ASSERT(before > 0);
	}
}

/* How long the amount takes.  Rounded down: a second's worth, one by one, is not more than a second. */
static uint64_t
duration_ns(uint64_t amount, uint64_t a_second)
{
	return (uint64_t) ((unsigned __int128) amount * SECOND_NS / a_second);
}

void
quota_spend(Quota *quota, QuotaRate rate, uint64_t amount, uint64_t a_second, uint64_t now_ns)
{
	uint64_t cost_ns = duration_ns(amount, a_second);
	uint64_t paid_ns = atomic_load(&quota->paid_ns[rate]);

	while (!atomic_compare_exchange_weak(&quota->paid_ns[rate], &paid_ns,
										 (paid_ns > now_ns ? paid_ns : now_ns) + cost_ns))
		;
}

uint64_t
quota_wait_ns(const Quota *quota, QuotaRate rate, uint64_t a_second, uint64_t now_ns)
{
	uint64_t paid_ns = atomic_load(&quota->paid_ns[rate]) + duration_ns(1, a_second);

	return paid_ns <= now_ns + SECOND_NS ? 0 : paid_ns - now_ns - SECOND_NS;
}

uint64_t
quota_begin(Quota *quota, QuotaUse use)
{
	return atomic_fetch_add(&quota->used[use], 1) + 1;
}

void
quota_end(Quota *quota, QuotaUse use)
{
	uint64_t before = atomic_fetch_sub(&quota->used[use], 1);

	ASSERT(before > 0);
}
