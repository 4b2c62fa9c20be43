/*
 * tag_count.h
 *	  An estimate of how many different tags many messages have, in little memory.
 *
 * This is linear counting: each tag sets one bit of a map, chosen by a hash, and the number of bits
 * that are still unset tells how many tags there were.  Up to a few million tags, the error is some
 * percent.  K.-Y.  Whang et al., A linear-time probabilistic counting algorithm, TODS 15(2), 1990.
 */
#ifndef HISTORIAND_TAG_COUNT_H
#define HISTORIAND_TAG_COUNT_H

#include "ingest/stage.h"

typedef struct TagCount TagCount;

extern TagCount *tag_count_new(void);
extern void tag_count_free(TagCount *count); /* may be NULL */
extern void tag_count_add(TagCount *count, const Stage *stage);
extern uint64_t tag_count_estimate(const TagCount *count);

#endif /* HISTORIAND_TAG_COUNT_H */
