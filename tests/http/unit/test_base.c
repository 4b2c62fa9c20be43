/*
 * test_base.c
 *	  Lists, waits, quotas and asserts of proxy/base.  Prints TAP.
 */
#include "base/backoff.h"
#include "base/budget.h"
#include "base/list.h"
#include "base/quota.h"
#include "../../unit/tap.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Item
{
	int value;
	ListLink link;
} Item;

/* The values of a list as a decimal number, forwards, with its links checked backwards. */
static int
digits(const List *list)
{
	int all = 0;
	const ListLink *before = &list->head;

	for (ListLink *link = list_first(list); link != NULL; link = list_next(list, link))
	{
		if (link->previous != before)
			return -1;
		before = link;
		all = all * 10 + LIST_ITEM(link, Item, link)->value;
	}
	return list->head.previous == before ? all : -1;
}

static void
test_lists(void)
{
	List list;
	Item items[5] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}, {.value = 5}};

	list_init(&list);
	ok(list_empty(&list) && list_first(&list) == NULL && list_last(&list) == NULL &&
		   list_take_first(&list) == NULL,
	   "an empty list has no first, no last and nothing to take");
	for (int i = 0; i < 4; i++)
		list_append(&list, &items[i].link);
	list_prepend(&list, &items[4].link);
	ok(digits(&list) == 51234, "what is appended comes last, what is prepended first");
	list_remove(&items[1].link);
	ok(digits(&list) == 5134 && !list_linked(&items[1].link), "one is removed from the middle");
	ok(list_take_first(&list) == &items[4].link && digits(&list) == 134, "the first one is taken");
	list_append(&list, &items[4].link);
	list_remove(&items[0].link);
	ok(digits(&list) == 345 && list_last(&list) == &items[4].link, "both ends change");
	while (list_take_first(&list) != NULL)
		;
	ok(list_empty(&list) && digits(&list) == 0, "it is empty again");
}

static void
test_waits(void)
{
	static const uint64_t nominal[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
	Backoff backoff = {.first_ms = 100, .largest_ms = 5000};
	uint64_t least = UINT64_MAX;
	uint64_t most = 0;
	bool good = !backoff_failing(&backoff);

	for (size_t i = 0; i < sizeof(nominal) / sizeof(nominal[0]); i++)
	{
		uint64_t wait_ms = backoff_next_ms(&backoff);

		good = good && backoff_failing(&backoff) && wait_ms <= nominal[i] &&
			   wait_ms * 4 >= nominal[i] * 3;
	}
	ok(good, "waits double up to the bound, each at most a quarter shorter");
	for (int i = 0; i < 1000; i++)
	{
		uint64_t wait_ms = backoff_next_ms(&backoff);

		least = wait_ms < least ? wait_ms : least;
		most = wait_ms > most ? wait_ms : most;
	}
	ok(least < 4000 && most > 4750, "and differ at random");
	backoff_reset(&backoff);
	ok(!backoff_failing(&backoff) && backoff_next_ms(&backoff) <= 100,
	   "after what worked they begin anew");
}

static Quotas *quotas; /* it stays, as in the server */

/* The quota of an address, which is held once more. */
static Quota *
quota_of(const char *text)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
		return quotas_of_address(quotas, (struct sockaddr *) &ipv4);
	inet_pton(AF_INET6, text, &ipv6.sin6_addr);
	return quotas_of_address(quotas, (struct sockaddr *) &ipv6);
}

static void
test_clients(void)
{
	Quota *a = quota_of("2001:db8:1:2:3:4:5:6");
	Quota *b = quota_of("10.1.2.3");
	Quota *nobody = quotas_of_address(quotas, &(struct sockaddr){.sa_family = AF_UNIX});
	char name[32];

	ok(quota_of("2001:db8:1:2:ffff::1") == a, "an IPv6 address stands for its /64");
	ok(quota_of("2001:db8:1:3:3:4:5:6") != a, "and another /64 is another client");
	ok(quota_of("::ffff:10.1.2.3") == b && quota_of("10.1.2.4") != b,
	   "an IPv4 address is itself, also as IPv6 has it");
	ok(quotas_of_name(quotas, "10.1.2.3") != b && quotas_of_name(quotas, "x") != nobody &&
		   quotas_of_name(quotas, "x") == quotas_of_name(quotas, "x"),
	   "a name is no address");
	quota_spend(a, QUOTA_REQUESTS, 1, 1000000, 5);
	for (int i = 0; i < 100000; i++)
	{
		Quota *quota;

		snprintf(name, sizeof(name), "10.%d.%d.%d", 50 + i / 65536, i / 256 % 256, i % 256);
		quota = quota_of(name);
		quota_spend(quota, QUOTA_MESSAGES, 1000000, 1, UINT64_C(1) << 62);
		quota_release(quota);
	}
	ok(quotas_count(quotas) < 130, "%zu clients are kept of 100,000 with debts",
	   quotas_count(quotas));
	ok(quota_of("2001:db8:1:2:3:4:5:6") == a, "but those that are held are not forgotten");
}

/*
 * What is allowed in a time is counted, and compared with what the limit says: a client that never
 * waits gets a second's worth at once, and then so much a second.
 */
static void
test_rates(void)
{
	static const uint64_t rates[] = {1, 3, 7, 1000, 999983};

	for (int i = 0; i < 5; i++)
	{
		uint64_t rate = rates[i];
		char name[32];
		Quota *quota;
		uint64_t allowed = 0;

		snprintf(name, sizeof(name), "rate %d", i);
		quota = quotas_of_name(quotas, name);
		for (uint64_t now_ns = 1000; now_ns <= 1000 + UINT64_C(10000000000);
			 now_ns += UINT64_C(1000000000) / (2 * rate))
		{
			while (quota_wait_ns(quota, QUOTA_REQUESTS, rate, now_ns) == 0)
			{
				quota_spend(quota, QUOTA_REQUESTS, 1, rate, now_ns);
				allowed++;
			}
		}
		ok(allowed <= 11 * rate + rate / 1000 && allowed + 2 >= 11 * rate,
		   "%llu of %llu a second in 10 s", (unsigned long long) allowed,
		   (unsigned long long) rate);
		quota_spend(quota, QUOTA_MESSAGES, 5 * rate, rate, UINT64_C(1) << 40);
		ok((quota_wait_ns(quota, QUOTA_MESSAGES, rate, UINT64_C(1) << 40) + 1000) / 1000000000 ==
			   (rate == 1 ? 5 : 4),
		   "five seconds' worth is paid for by four more, and the next one");
	}
}

static void
return_too_much(void)
{
	Budget budget = {.limit = 10};

	budget_add(&budget, 3);
	budget_return(&budget, 4);
}

static void
link_twice(void)
{
	List list;
	Item item = {0};

	list_init(&list);
	list_append(&list, &item.link);
	list_append(&list, &item.link);
}

/* Does it end a process by abort()?  Its words go to standard error. */
static bool
aborts(void (*work)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
	{
		work();
		_exit(0);
	}
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
		   WTERMSIG(status) == SIGABRT;
}

int
main(void)
{
	test_lists();
	test_waits();
	quotas = quotas_new(100);
	test_clients();
	test_rates();
	fflush(stdout);
	ok(aborts(return_too_much), "a budget gets no more back than was taken");
	fflush(stdout);
	ok(aborts(link_twice), "a link cannot be in two lists");
	return done_testing();
}
