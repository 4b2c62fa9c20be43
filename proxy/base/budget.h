/*
 * budget.h
 *	  A bound on memory that several threads use.
 *
 * The caller returns what it took or added, exactly once.
 */
#ifndef HISTORIAND_BUDGET_H
#define HISTORIAND_BUDGET_H

#include "base/assert.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Budget
{
	size_t limit;
	atomic_size_t used;
} Budget;

static inline size_t
budget_used(const Budget *budget)
{
	return atomic_load_explicit(&budget->used, memory_order_relaxed);
}

static inline bool
budget_full(const Budget *budget)
{
	return budget_used(budget) >= budget->limit;
}

/* Counts memory that exists already, even if that exceeds the limit. */
static inline void
budget_add(Budget *budget, size_t bytes)
{
	atomic_fetch_add_explicit(&budget->used, bytes, memory_order_relaxed);
}

static inline void
budget_return(Budget *budget, size_t bytes)
{
	size_t used = atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);

	ASSERT(used >= bytes);
}

/* Returns false and takes nothing if the limit leaves no room. */
static inline bool
budget_take(Budget *budget, size_t bytes)
{
	budget_add(budget, bytes);
	if (budget_used(budget) <= budget->limit)
		return true;
	budget_return(budget, bytes);
	return false;
}

#endif /* HISTORIAND_BUDGET_H */
