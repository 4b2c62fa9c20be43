/*
 * route_save.c
 *	  POST /save: messages as JSON.  The answer says what became of them.
 */
#include "routes/routes.h"

#include "http/http_answer.h"
#include "http/http_authorize.h"
#include "routes/intake.h"

#include <stdlib.h>
#include <string.h>

/* The parameters of the route's own. */
typedef struct SaveParameters
{
	TimestampRules *times;
	bool precision_given;
	char *stream; /* NULL: not given */
} SaveParameters;

static void save_begin(Exchange *exchange);
static bool read_parameter(void *argument, const char *name, const char *value);
static bool take_stream(Exchange *exchange, const char *name);
static void answer(Exchange *exchange);

const Route route_save = {
	.path = "/save",
	.metric = ROUTE_SAVE,
	.access = ACCESS_WRITE,
	.post = true,
	.brings_messages = true,
	.begin = save_begin,
	.body = intake_body,
	.end = intake_end,
	.release = intake_release,
	.block_timeout = intake_block_timeout,
};

static void
save_begin(Exchange *exchange)
{
	Intake *intake = intake_new(exchange);
	BodyFormat format = BODY_JSON;
	SaveParameters parameters = {.times = &intake->times};

	intake->answer = answer;
	intake->answer_refused = intake_answer_refused;
	if (intake_parameters(exchange, read_parameter, &parameters,
						  "precision=ns, us, ms or s, ack=received or committed, "
						  "partial=true or false, and stream= with at most 128 printable ASCII "
						  "characters, each once") &&
		(parameters.stream == NULL || take_stream(exchange, parameters.stream)) &&
		intake_read_type(exchange, &format))
		intake_begin(exchange, format);
	free(parameters.stream);
}

static bool
read_parameter(void *argument, const char *name, const char *value)
{
	SaveParameters *parameters = argument;

	if (strcmp(name, "stream") == 0 && parameters->stream == NULL)
	{
		parameters->stream = memory_strdup(value);
		return value[0] != '\0' && stream_name_valid(value, strlen(value));
	}
	if (strcmp(name, "precision") != 0 || parameters->precision_given)
		return false;
	parameters->precision_given = true;
	return timestamp_read_precision(value, parameters->times);
}

/* Finds the stream; answers if that is not for who asks, or if there are too many. */
static bool
take_stream(Exchange *exchange, const char *name)
{
	Intake *intake = exchange->state;

	if (!principal_may_tag(exchange->principal, name, strlen(name)))
	{
		http_authorize_refuse_tag(exchange);
		return false;
	}
	intake->stream = stream_name_of(name, strlen(name));
	if (intake->stream == NULL)
		http_problem(exchange, 503,
					 "too many different streams were named since the server was started");
	return intake->stream != NULL;
}

static void
answer(Exchange *exchange)
{
	Intake *intake = exchange->state;
	Bytes body = {0};

	if (intake->decoder.error_count == 0)
	{
		http_answer(exchange, intake->committed ? 204 : 202, NULL, NULL, NULL, 0);
		return;
	}
	intake_put_partial(intake, "rejected", &body);
	bytes_puts(&body, "}\n");
	body.data[0] = '{';
	http_answer(exchange, 207, "application/json", NULL, body.data, body.length);
	bytes_free(&body);
}
