/*
 * assert.c
 *	  Invariants that are checked in every build.
 */
#include "base/assert.h"

#include "base/log.h"

#include <stdlib.h>

void
assert_failed(const char *condition, const char *file, int line)
{
	log_error("%s:%d: \"%s\" does not hold, which is a bug of historiand", file, line, condition);
	abort();
}
