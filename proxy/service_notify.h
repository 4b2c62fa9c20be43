/*
 * service_notify.h
 *	  Tells the service manager (systemd, Type=notify) how the server is.
 */
#ifndef HISTORIAND_SERVICE_NOTIFY_H
#define HISTORIAND_SERVICE_NOTIFY_H

/* "READY=1", "STOPPING=1"; does nothing where no service manager asked for it. */
extern void service_notify(const char *state);

/* Says "still alive" where the manager watches for that; called at least every half second. */
extern void service_notify_alive(void);

#endif /* HISTORIAND_SERVICE_NOTIFY_H */
