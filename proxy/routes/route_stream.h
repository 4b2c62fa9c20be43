/*
 * route_stream.h
 *	  What the server tells the live streams of a loop.
 */
#ifndef HISTORIAND_ROUTE_STREAM_H
#define HISTORIAND_ROUTE_STREAM_H

#include "loop.h"

/* Must be called after rows were committed: they are read soon. */
extern void route_stream_wake(Loop *loop);

/* Must be called some times a second: sends heartbeats, and ends the streams when the server stops. */
extern void route_stream_tick(Loop *loop);

#endif /* HISTORIAND_ROUTE_STREAM_H */
