/*
 * list.h
 *	  Lists and stacks whose links are members of their elements.
 *
 * A list is a ring of links through its head, so that any element is appended, prepended or removed
 * in a few instructions.  An element may be in as many lists at a time as it has links.  A zeroed
 * link is in no list; list_init() must initialise a list.
 *
 * A stack takes half the instructions.  Only its top can be removed, and list_linked() tells nothing
 * about its links.  A zeroed stack is empty.
 */
#ifndef HISTORIAND_LIST_H
#define HISTORIAND_LIST_H

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct ListLink
{
	struct ListLink *previous;
	struct ListLink *next; /* NULL: in no list */
} ListLink;

typedef struct List
{
	ListLink head;
} List;

/* The element of that type whose member is the link. */
#define LIST_ITEM(link, type, member) ((type *) (((char *) (link)) - offsetof(type, member)))

static inline void
list_init(List *list)
{
	list->head.previous = list->head.next = &list->head;
}

static inline bool
list_empty(const List *list)
{
	return list->head.next == &list->head;
}

/* Is the link in a list? */
static inline bool
list_linked(const ListLink *link)
{
	return link->next != NULL;
}

/* Inserts a link before one that is in a list. */
static inline void
list_insert(ListLink *before, ListLink *link)
{
	ASSERT(!list_linked(link));
	link->next = before;
	link->previous = before->previous;
	before->previous->next = link;
	before->previous = link;
}

static inline void
list_append(List *list, ListLink *link)
{
	list_insert(&list->head, link);
}

static inline void
list_prepend(List *list, ListLink *link)
{
	list_insert(list->head.next, link);
}

static inline void
list_remove(ListLink *link)
{
	ASSERT(list_linked(link));
	link->previous->next = link->next;
	link->next->previous = link->previous;
	link->previous = link->next = NULL;
}

/* The next three return NULL where there is no such link. */
static inline ListLink *
list_first(const List *list)
{
	return list_empty(list) ? NULL : list->head.next;
}

static inline ListLink *
list_last(const List *list)
{
	return list_empty(list) ? NULL : list->head.previous;
}

static inline ListLink *
list_next(const List *list, const ListLink *link)
{
	return link->next == &list->head ? NULL : link->next;
}

/* Removes the first link and returns it, or NULL. */
static inline ListLink *
list_take_first(List *list)
{
	ListLink *link = list_first(list);

	if (link != NULL)
		list_remove(link);
	return link;
}

typedef struct Stack
{
	ListLink *top;
} Stack;

static inline void
stack_push(Stack *stack, ListLink *link)
{
	ASSERT(!list_linked(link));
	link->next = stack->top;
	stack->top = link;
}

/* Removes the top and returns it, or NULL. */
static inline ListLink *
stack_pop(Stack *stack)
{
	ListLink *link = stack->top;

	if (link != NULL)
	{
		stack->top = link->next;
		link->next = NULL;
	}
	return link;
}

#endif /* HISTORIAND_LIST_H */
