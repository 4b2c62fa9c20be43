/*
 * fuzz_message.c
 *	  Fuzz target: the message scanner against json-c.
 *
 * Built with libFuzzer by message.mk.  Stops at the first input on which they disagree.
 */
#include "message_oracle.h"

#include "ingest/message_scan.h"
#include "base/number.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int ready;
	const char *problem;

	if (!ready)
	{
		number_init();
		ready = 1;
	}
	if (size > MESSAGE_MAX_BYTES)
		return 0;
	problem = message_disagreement((const char *) data, size);
	if (problem != NULL)
	{
		fprintf(stderr, "%s\n%.*s\n", problem, (int) size, data);
		abort();
	}
	return 0;
}
