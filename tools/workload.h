/*
 * workload.h
 *	  The messages that the producer sends and the client expects.
 *
 * The options determine everything.  Message i (from 0) has a time that follows from the rate
 * without drift.  Its tag follows from (seed, i).  The n-th message of a tag differs from the one
 * before by a step that is drawn from (seed, tag, n).  So any process can compute what another one
 * has sent.  Values are integers in units of 10^-decimals, so that the decimal text is exact;
 * strtod() makes value / 10^decimals of it.
 *
 * Of the skewed workload, tag k is drawn with 1% of the probability that tags 0 .. k - 1 left, and
 * values step by up to 1.  Of a plant, each tag comes once a second, always in the same order, which
 * is not that of the names, and values step by up to 0.05 (by up to one unit if that is less).
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#define WORKLOAD_MAX_TAGS	  10000000
#define WORKLOAD_MAX_VALUES	  1000
#define WORKLOAD_MAX_DECIMALS 6
#define WORKLOAD_MAX_RATE	  100000000
#define WORKLOAD_MAX_SEED	  ((UINT64_C(1) << 53) - 1) /* an announcement has it as a double */

/* A name with the zero byte at its end. */
#define WORKLOAD_TAG_BYTES 64

typedef enum WorkloadKind
{
	WORKLOAD_SKEWED,
	WORKLOAD_PLANT,			/* tags are spread evenly over the second */
	WORKLOAD_PLANT_AT_ONCE, /* all tags report at the beginning of the second */
} WorkloadKind;

typedef struct WorkloadOptions
{
	int64_t start_ns; /* time of message 0 */
	uint64_t seed;
	WorkloadKind kind;
	uint32_t rate;			/* messages a second; of a plant the number of tags */
	uint32_t peak_rate;		/* messages a second in a peak; 0 for no peaks */
	uint32_t peak_every_s;	/* a peak ends each period of so many seconds ... */
	uint32_t peak_length_s; /* ... and lasts so many */
	uint32_t tags;
	uint32_t values; /* a message */
	uint32_t decimals;
} WorkloadOptions;

/* It does not change after it was opened. */
typedef struct Workload Workload;

/* Returns what is wrong with the options, or NULL. */
extern const char *workload_check(const WorkloadOptions *options);

/*
 * The options must be valid.  The caller closes the workload.  Ends the process if there is no
 * memory.
 */
extern Workload *workload_open(const WorkloadOptions *options);
extern void workload_close(Workload *workload);
extern const WorkloadOptions *workload_options(const Workload *workload);

extern int64_t workload_time(const Workload *workload, uint64_t message);
/* How many messages have that time or an earlier one. */
extern uint64_t workload_count(const Workload *workload, int64_t time_ns);
extern uint32_t workload_tag(const Workload *workload, uint64_t message);
/* How many of a plant's first so many messages have that tag. */
extern uint64_t workload_plant_count(const Workload *workload, uint32_t tag, uint64_t messages);
/*
 * Changes the values of a tag from those of its message n - 1 to those of message n; n = 0 sets
 * them.
 */
extern void workload_step(const Workload *workload, uint32_t tag, uint64_t n, int64_t *values);
/* 10^decimals */
extern int64_t workload_scale(const Workload *workload);

/*
 * Tag k of the skewed workload is called "t" and k in four digits or more; plant.h has the names of
 * a plant.  Writes the name and a zero byte, and returns the length without it.
 */
extern size_t workload_tag_name(const Workload *workload, uint32_t tag,
								char name[WORKLOAD_TAG_BYTES]);
/* The tag that has the name; UINT32_MAX: none has. */
extern uint32_t workload_tag_number(const Workload *workload, const char *name, size_t length);
/* The length of the longest JSON text of a message, with a line feed. */
extern size_t workload_max_json_bytes(const Workload *workload);
/* Writes one message as JSON without a line feed; returns its length. */
extern size_t workload_json(const Workload *workload, int64_t time_ns, uint32_t tag,
							const int64_t *values, char *out);

#endif
