/*
 * webhook.h
 *	  Tells transitions of tags by POST to a URL.
 */
#ifndef HISTORIAND_WEBHOOK_H
#define HISTORIAND_WEBHOOK_H

#include "watch/telling.h"

typedef struct Webhook Webhook;

/*
 * The URL must stay.  Must be called before there are other threads.  Returns NULL if libcurl does
 * not work.
 */
extern Webhook *webhook_new(const char *url);

/* The TellFunction.  A transition is told if the answer has a status of 2xx. */
extern void webhook_tell(void *webhook, Tellings *tellings);

#endif /* HISTORIAND_WEBHOOK_H */
