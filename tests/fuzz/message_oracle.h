/*
 * message_oracle.h
 *	  What json-c makes of a message, compared with what the scanner makes of it.
 */
#ifndef MESSAGE_ORACLE_H
#define MESSAGE_ORACLE_H

#include <stddef.h>

/*
 * Scans the text, and every beginning of it, and compares with json-c.  Returns NULL if they agree,
 * else what they disagree about.
 */
extern const char *message_disagreement(const char *text, size_t length);

#endif /* MESSAGE_ORACLE_H */
