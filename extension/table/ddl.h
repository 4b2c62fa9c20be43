/*
 * ddl.h
 *	  What DDL may do to historian tables.
 */
#ifndef HISTORIAN_DDL_H
#define HISTORIAN_DDL_H

/* Installs the object access hook.  Called once, when the library is loaded. */
extern void ddl_init(void);

#endif							/* HISTORIAN_DDL_H */
