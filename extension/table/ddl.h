/*
 * ddl.h
 *	  Watches DDL: makes the directories of historian tables, and refuses what would break these.
 */
#ifndef HISTORIAN_DDL_H
#define HISTORIAN_DDL_H

/* Installs an object access hook and a utility hook.  Called once, when the library is loaded. */
extern void ddl_init(void);

#endif							/* HISTORIAN_DDL_H */
