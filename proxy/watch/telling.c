/*
 * telling.c
 *	  A transition of a tag that is to be told, by a webhook or a command.
 */
#include "watch/telling.h"

#include <uv.h>

bool
telling_may_begin(const Tellings *tellings)
{
	return !atomic_load(tellings->stopping) && uv_hrtime() / 1000000 < tellings->begin_until_ms;
}
