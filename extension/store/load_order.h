/*
 * load_order.h
 *	  The order of all loads: of two rows with one tag and time the later load's stays.
 */
#ifndef HISTORIAN_LOAD_ORDER_H
#define HISTORIAN_LOAD_ORDER_H

#include "postgres.h"

/*
 * The next number in load order: greater than any that was given out before, by any session, also
 * before a promotion.  Writes a WAL record.
 */
extern uint64 load_order_next(void);

/* Greater than all numbers given out so far, and not greater than any that follows. */
extern uint64 load_order_bound(void);

#endif							/* HISTORIAN_LOAD_ORDER_H */
