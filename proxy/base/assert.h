/*
 * assert.h
 *	  Invariants that are checked in every build.
 *
 * An invariant that does not hold is a bug of this program.  Going on could lose or mix messages,
 * so the place is logged and the process aborts; its supervisor starts it again.  A check only
 * compares values at hand, so that releases keep it.  Input from outside is never asserted.
 */
#ifndef HISTORIAND_ASSERT_H
#define HISTORIAND_ASSERT_H

#ifdef __FILE_NAME__
#define ASSERT_FILE __FILE_NAME__
#else
#define ASSERT_FILE __FILE__
#endif

#define ASSERT(condition)                                                                          \
	(__builtin_expect(!!(condition), 1) ? (void) 0                                                 \
										: assert_failed(#condition, ASSERT_FILE, __LINE__))

extern void assert_failed(const char *condition, const char *file, int line)
	__attribute__((noreturn, cold));

#endif /* HISTORIAND_ASSERT_H */
