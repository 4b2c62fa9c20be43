/*
 * examiner.c
 *	  Checks answers in a thread of its own, which has the lowest priority.
 */
#define _GNU_SOURCE
#include "examiner.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "options.h"

/* If more bytes wait to be checked, examiner_add() waits. */
#define MOST_BYTES		 ((size_t) 512 << 20)
#define REFUSED_TO_PRINT 5

/* An answer that waits to be checked. */
typedef struct Paper
{
	struct Paper *next;
	Question question;
	size_t bytes;
	char *body; /* NULL: the status was 404 */
} Paper;

struct Examiner
{
	Checker *checker; /* belongs to the thread */
	pthread_t thread;
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	Paper *first;
	Paper **end;
	size_t bytes;
	bool ending;
	ExaminerCounts counts;
};

static void *examine(void *argument);
static bool examine_paper(Checker *checker, const Paper *paper, bool print);

Examiner *
examiner_start(Checker *checker)
{
	Examiner *examiner = calloc(1, sizeof(*examiner));

	if (examiner == NULL)
		abort();
	examiner->checker = checker;
	examiner->end = &examiner->first;
	pthread_mutex_init(&examiner->lock, NULL);
	pthread_cond_init(&examiner->changed, NULL);
	if (pthread_create(&examiner->thread, NULL, examine, examiner) != 0)
		abort();
	return examiner;
}

void
examiner_add(Examiner *examiner, const Question *question, const char *body, size_t body_bytes)
{
	Paper *paper = calloc(1, sizeof(*paper));

	if (paper == NULL)
		abort();
	paper->question = *question;
	if (body != NULL)
	{
		paper->bytes = body_bytes;
		paper->body = malloc(body_bytes + 1);
		if (paper->body == NULL)
			abort();
		memcpy(paper->body, body, body_bytes);
	}
	pthread_mutex_lock(&examiner->lock);
	examiner->counts.waits += examiner->bytes > MOST_BYTES;
	while (examiner->bytes > MOST_BYTES)
		pthread_cond_wait(&examiner->changed, &examiner->lock);
	*examiner->end = paper;
	examiner->end = &paper->next;
	examiner->bytes += paper->bytes;
	pthread_cond_broadcast(&examiner->changed);
	pthread_mutex_unlock(&examiner->lock);
}

ExaminerCounts
examiner_counts(Examiner *examiner)
{
	ExaminerCounts counts;

	pthread_mutex_lock(&examiner->lock);
	counts = examiner->counts;
	pthread_mutex_unlock(&examiner->lock);
	return counts;
}

ExaminerCounts
examiner_end(Examiner *examiner)
{
	ExaminerCounts counts;

	/* No more answers are being received, so that the thread need not give way any more. */
	pthread_setschedparam(examiner->thread, SCHED_OTHER, &(struct sched_param){0});
	pthread_mutex_lock(&examiner->lock);
	examiner->ending = true;
	pthread_cond_broadcast(&examiner->changed);
	pthread_mutex_unlock(&examiner->lock);
	pthread_join(examiner->thread, NULL);
	counts = examiner->counts;
	pthread_mutex_destroy(&examiner->lock);
	pthread_cond_destroy(&examiner->changed);
	free(examiner);
	return counts;
}

/* The thread: checks one answer after the other until examiner_end(). */
static void *
examine(void *argument)
{
	Examiner *examiner = argument;
	Paper *paper;
	uint64_t refused = 0;
	bool accepted;

	sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
	pthread_mutex_lock(&examiner->lock);
	for (;;)
	{
		while (examiner->first == NULL && !examiner->ending)
			pthread_cond_wait(&examiner->changed, &examiner->lock);
		paper = examiner->first;
		if (paper == NULL)
			break;
		examiner->first = paper->next;
		if (examiner->first == NULL)
			examiner->end = &examiner->first;
		examiner->bytes -= paper->bytes;
		pthread_cond_broadcast(&examiner->changed);
		pthread_mutex_unlock(&examiner->lock);

		accepted = examine_paper(examiner->checker, paper, refused < REFUSED_TO_PRINT);
		refused += !accepted;
		free(paper->body);
		free(paper);

		pthread_mutex_lock(&examiner->lock);
		examiner->counts.refused = refused;
		examiner->counts.wrong = checker_counts(examiner->checker)->wrong;
	}
	pthread_mutex_unlock(&examiner->lock);
	return NULL;
}

/* Checks an answer; false if it is refused. */
static bool
examine_paper(Checker *checker, const Paper *paper, bool print)
{
	Answer answer = {0};
	bool readable;

	checker_advance(checker, now_ns());
	if (paper->body == NULL)
	{
		if (checker_may_be_unknown(checker, &paper->question))
			return true;
		if (print)
			fprintf(stderr, "error: GET /api: 404 for tag %u, which has values\n",
					paper->question.tag);
		return false;
	}
	readable = answer_parse(&answer, paper->body, paper->bytes);
	if (readable)
		checker_check(checker, &paper->question, &answer);
	else if (print)
		fprintf(stderr, "error: GET /api: the answer cannot be read: %.*s\n",
				(int) (paper->bytes < 200 ? paper->bytes : 200), paper->body);
	answer_free(&answer);
	return readable;
}
