/*
 * budget.h
 *	  A bound on memory that several threads use.
 */
#ifndef HISTORIAND_BUDGET_H
#define HISTORIAND_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Budget
{
	size_t limit;
	atomic_size_t used;
} Budget;

/* For what exists already. */
static inline void
budget_add(Budget *budget, size_t bytes)
{
	atomic_fetch_add_explicit(&budget->used, bytes, memory_order_relaxed);
}

static inline void
budget_return(Budget *budget, size_t bytes)
{
	atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);
}

/* Returns false, and takes nothing, where there is no room. */
static inline bool
budget_take(Budget *budget, size_t bytes)
{
	budget_add(budget, bytes);
	if (atomic_load_explicit(&budget->used, memory_order_relaxed) <= budget->limit)
		return true;
	budget_return(budget, bytes);
	return false;
}

#endif /* HISTORIAND_BUDGET_H */
