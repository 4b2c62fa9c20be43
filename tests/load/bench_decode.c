/*
 * bench_decode.c
 *	  How fast bodies are decoded: the same messages as NDJSON and as line protocol, of this also with
 *	  points merged, and with fields placed by their names, as the server does both.
 *
 * One thread, no network: only what the server's decoder does.  The best of ROUNDS rounds counts.
 */
#include "ingest/body_decoder.h"
#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MESSAGES 100000
#define ROUNDS	 9
#define PIECE	 65536

static double
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec * 1e-9;
}

/* 10 values of two decimals, as the workload has them. */
static void
put_messages(Bytes *json, Bytes *points)
{
	srandom(1);
	for (int i = 0; i < MESSAGES; i++)
	{
		int64_t time_ns = INT64_C(1583748873000000000) + i * INT64_C(100000);
		int tag = (int) (random() % 10000);

		bytes_printf(json, "{\"time\":%" PRId64 ",\"tag\":\"tag%05d\",\"values\":[", time_ns, tag);
		bytes_printf(points, "tag%05d ", tag);
		for (int j = 0; j < 10; j++)
		{
			double value = (double) (random() % 100000) / 100;

			bytes_printf(json, "%s%.2f", j > 0 ? "," : "", value);
			bytes_printf(points, "%sv%d=%.2f", j > 0 ? "," : "", j, value);
		}
		bytes_puts(json, "]}\n");
		bytes_printf(points, " %" PRId64 "\n", time_ns);
	}
}

static double
messages_a_second(const Bytes *body, BodyFormat format, PointMerge *merge)
{
	const TimestampRules times = timestamp_rules(1, true);
	Stage stage = {0};
	double best = 0;

	for (int round = 0; round < ROUNDS; round++)
	{
		BodyDecoder decoder;
		double began;
		double rate;

		if (merge != NULL)
			point_merge_forget(merge);
		began = seconds_now();

		stage.length = stage.count = 0;
		body_decoder_init(&decoder, &stage, format, true, &times);
		decoder.points = (LineRules){.merge = merge};
		if (merge != NULL)
			decoder.points.writer = point_merge_writer(merge);
		for (size_t at = 0; at < body->length; at += PIECE)
			body_decoder_feed(&decoder, body->data + at,
							  body->length - at < PIECE ? body->length - at : PIECE);
		body_decoder_finish(&decoder);
		rate = MESSAGES / (seconds_now() - began);
		if (stage.count != MESSAGES || stage.waiting.length > 0 || decoder.error_count > 0)
			abort();
		best = rate > best ? rate : best;
		body_decoder_free(&decoder);
	}
	free(stage.data);
	return best;
}

/* The places of the fields of all series, as PostgreSQL has told them. */
static FieldPlaces *
all_places(void)
{
	FieldPlaces *places = field_places_new();
	char tag[16];

	for (int i = 0; i < 10000; i++)
	{
		snprintf(tag, sizeof(tag), "tag%05d", i);
		field_places_learned(places, 0, tag, "v0\1v1\1v2\1v3\1v4\1v5\1v6\1v7\1v8\1v9");
	}
	return places;
}

int
main(void)
{
	Bytes json = {0};
	Bytes points = {0};
	double of_json;
	double of_points;

	number_init();
	put_messages(&json, &points);
	of_json = messages_a_second(&json, BODY_NDJSON, NULL);
	of_points = messages_a_second(&points, BODY_POINTS, NULL);
	printf("%d messages of 10 values, decoded by one thread\n", MESSAGES);
	printf("  NDJSON         %10.0f messages/s %6.1f bytes each\n", of_json,
		   (double) json.length / MESSAGES);
	printf("  line protocol  %10.0f messages/s %6.1f bytes each, %.2f of NDJSON\n", of_points,
		   (double) points.length / MESSAGES, of_points / of_json);
	printf("  .. merged      %10.0f messages/s\n",
		   messages_a_second(&points, BODY_POINTS, point_merge_new(NULL)));
	printf("  .. and placed  %10.0f messages/s\n",
		   messages_a_second(&points, BODY_POINTS, point_merge_new(all_places())));
	bytes_free(&json);
	bytes_free(&points);
	return 0;
}
