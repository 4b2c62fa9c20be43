/*
 * postgres.h
 *	  What cppcheck has to know of PostgreSQL: which macros are loops, and which statements do not return.
 */
#define ERROR 21
#define FATAL 22
#define PANIC 23

#define foreach(cell, list)                                                                        \
	for (ListCell *cell##_of = list_head(list); (cell = cell##_of) != NULL;                        \
		 cell##_of = lnext(list, cell##_of))
#define forboth(cell1, list1, cell2, list2)                                                        \
	foreach (cell1, list1)                                                                         \
		foreach (cell2, list2)

#define palloc_array(type, count)  ((type *) palloc(sizeof(type) * (count)))
#define palloc0_array(type, count) ((type *) palloc0(sizeof(type) * (count)))
#define palloc0_object(type)	   ((type *) palloc0(sizeof(type)))

#define lfirst(cell)	 ((cell)->ptr_value)
#define lfirst_int(cell) ((cell)->int_value)

#define ereport(level, ...)                                                                        \
	do                                                                                             \
	{                                                                                              \
		__VA_ARGS__;                                                                               \
		if ((level) >= ERROR)                                                                      \
			abort();                                                                               \
	} while (0)
#define elog(level, ...)                                                                           \
	do                                                                                             \
	{                                                                                              \
		if ((level) >= ERROR)                                                                      \
			abort();                                                                               \
	} while (0)
#define Assert(condition)                                                                          \
	do                                                                                             \
	{                                                                                              \
		if (!(condition))                                                                          \
			abort();                                                                               \
	} while (0)
#define pg_unreachable() abort()
#define XL_ROUTINE(...)	 (&(XLogReaderRoutine){__VA_ARGS__})
