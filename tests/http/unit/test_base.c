/*
 * test_base.c
 *	  Lists, waits and asserts of proxy/base.  Prints TAP.
 */
#include "base/backoff.h"
#include "base/budget.h"
#include "base/list.h"
#include "../../unit/tap.h"

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
	fflush(stdout);
	ok(aborts(return_too_much), "a budget gets no more back than was taken");
	fflush(stdout);
	ok(aborts(link_twice), "a link cannot be in two lists");
	return done_testing();
}
