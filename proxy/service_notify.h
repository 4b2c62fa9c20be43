/*
 * service_notify.h
 *	  Tells the service manager (systemd, Type=notify) the state of the server.
 */
#ifndef HISTORIAND_SERVICE_NOTIFY_H
#define HISTORIAND_SERVICE_NOTIFY_H

/* Sends "READY=1" or "STOPPING=1" if a service manager has asked for that. */
extern void service_notify(const char *state);

/*
 * Tells a service manager that watches for it that the server is alive; called at least twice a
 * second.
 */
extern void service_notify_alive(void);

#endif /* HISTORIAND_SERVICE_NOTIFY_H */
