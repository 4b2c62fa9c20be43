/*
 * load_order.h
 *	  The order of all loads: of two rows with one tag and time the later load's stays.
 */
#ifndef HISTORIAN_LOAD_ORDER_H
#define HISTORIAN_LOAD_ORDER_H

#include "postgres.h"

/*
 * Returns the next number in load order: greater than all that any session has been given before,
 * also before a promotion.  Writes a WAL record.
 */
extern uint64 load_order_next(void);

/* Returns a number greater than all that have been given, and not greater than any that will be. */
extern uint64 load_order_bound(void);

#endif							/* HISTORIAN_LOAD_ORDER_H */
