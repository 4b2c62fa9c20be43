/*
 * row_policy.h
 *	  Row-level security in functions: the policies that SELECT would apply for the current user.
 */
#ifndef HISTORIAN_ROW_POLICY_H
#define HISTORIAN_ROW_POLICY_H

#include "postgres.h"

#include "utils/rel.h"

typedef struct TagPolicy TagPolicy;

typedef enum RowPolicyKind
{
	ROW_POLICY_NONE,			/* the user may see all rows */
	ROW_POLICY_OF_TAGS,			/* the policies show all rows of a tag, or none */
	ROW_POLICY_OF_ROWS,			/* they must be applied to each row, by SQL */
} RowPolicyKind;

/*
 * Finds the policies in force on a relation; *policy is set for those of tags, and NULL otherwise.
 * Raises PostgreSQL's error if there are any and row_security is off.
 */
extern RowPolicyKind row_policy_find(Relation rel, TagPolicy **policy);

/* Do the policies show the rows of a tag?  NULL are policies that show all. */
extern bool row_policy_shows(TagPolicy *policy, text *tag);
extern void row_policy_end(TagPolicy *policy);

#endif							/* HISTORIAN_ROW_POLICY_H */
