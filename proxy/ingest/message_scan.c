/*
 * message_scan.c
 *	  Scans one message {"time": .., "tag": .., "values": [..]} from JSON text into a stage.
 *
 * This is the hot path of the whole server, and therefore written by hand for this one shape.  The
 * three fields may have any order, and white space may be anywhere.  Each byte is looked at once,
 * and values are stored where they stay.  A message must be more than JSON: no field may be
 * duplicate, missing or unknown, the time must be an integer or a string of RFC 3339, and the tag
 * must have no control characters.  Strings with escapes are left to json-c.
 *
 * A message may arrive in pieces, so that text which ends too early must be told from text which is
 * wrong: before a byte is refused, it is checked that there is one.
 */
#include "ingest/message_scan.h"

#include "ingest/message_json.h"
#include "base/number.h"
#include "base/utf8.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Room made before values are stored, so that the loop checks once for many values. */
#define VALUES_STEP 64

/* The longest string that is looked at as a time. */
#define MAX_TIME_BYTES 64

/* A word of eight times this byte. */
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

enum Field
{
	FIELD_TIME = 1,
	FIELD_TAG = 2,
	FIELD_VALUES = 4,
	FIELD_ALL = 7,
};

/* One scan in progress. */
typedef struct Scan
{
	Stage *stage;
	const char *c;
	const char *end;
	const TimestampRules *times;
	MessageError *error;
	unsigned seen; /* the fields so far: bits of enum Field */
	int64_t time_ns;
	uint32_t value_count;
	bool has_nulls;	 /* among the values */
	bool in_line;	 /* a newline is no white space */
	const char *tag; /* in the text, or in decoded */
	size_t tag_length;
	char decoded[MESSAGE_MAX_TAG_BYTES];
} Scan;

static ScanStatus check_range(Scan *scan, const MessageRange *range);
static ScanStatus scan_field(Scan *scan);
static ScanStatus scan_time(Scan *scan);
static ScanStatus convert_time(Scan *scan);
static ScanStatus scan_time_text(Scan *scan);
static ScanStatus scan_tag(Scan *scan);
static ScanStatus scan_values(Scan *scan);
static ScanStatus scan_string(Scan *scan, const char **start, const char **close, bool *escapes,
							  bool *odd);

static ScanStatus __attribute__((cold, noinline, format(printf, 3, 4)))
invalid(Scan *scan, const char *field, const char *format, ...)
{
	va_list args;

	snprintf(scan->error->field, sizeof(scan->error->field), "%s", field);
	va_start(args, format);
	vsnprintf(scan->error->detail, sizeof(scan->error->detail), format, args);
	va_end(args);
	return SCAN_INVALID;
}

/* Moves to the next byte that is not white space; false where there is none. */
static inline bool
skip_space(Scan *scan)
{
	while (scan->c < scan->end)
	{
		if ((unsigned char) *scan->c > ' ')
			return true;
		if (*scan->c != ' ' && (*scan->c != '\n' || scan->in_line) && *scan->c != '\r' &&
			*scan->c != '\t')
			return true; /* a control character: the caller refuses it */
		scan->c++;
	}
	return false;
}

static ScanStatus
scan_message(Stage *stage, const char **cursor, const char *end, const TimestampRules *times,
			 const MessageRange *range, bool in_line, MessageError *error)
{
	Scan scan;
	ScanStatus status;

	scan.stage = stage;
	scan.c = *cursor;
	scan.end = end;
	scan.times = times;
	scan.error = error;
	scan.seen = 0;
	scan.has_nulls = false;
	scan.in_line = in_line;

	if (scan.c == end)
		return SCAN_INCOMPLETE;
	if (*scan.c != '{')
		return invalid(&scan, "", "a message must be a JSON object");
	do
	{
		scan.c++;
		if (!skip_space(&scan))
			return SCAN_INCOMPLETE;
		if (*scan.c == '}' && scan.seen == 0)
			break;
		status = scan_field(&scan);
		if (status != SCAN_OK)
			return status;
		if (!skip_space(&scan))
			return SCAN_INCOMPLETE;
	} while (*scan.c == ',');

	if (*scan.c != '}')
		return invalid(&scan, "", "a comma or a closing brace is missing");
	if (range != NULL && (status = check_range(&scan, range)) != SCAN_OK)
		return status;
	if (scan.seen != FIELD_ALL)
	{
		const char *missing = !(scan.seen & FIELD_TIME)	 ? "time"
							  : !(scan.seen & FIELD_TAG) ? "tag"
														 : "values";

		return invalid(&scan, missing, "the field \"%s\" is missing", missing);
	}
	if (!stage_fits(scan.value_count, scan.has_nulls, scan.tag_length))
		return invalid(
			&scan, "values",
			"values has %u elements, which with a tag of %zu bytes are more than a row holds "
			"(8 bytes each%s and the tag: %d)",
			scan.value_count, scan.tag_length, scan.has_nulls ? ", a bit each beside a null," : "",
			MESSAGE_MAX_ROW_BYTES);
	stage_add(stage, scan.time_ns, scan.value_count, scan.tag, scan.tag_length);
	*cursor = scan.c + 1;
	return SCAN_OK;
}

ScanStatus
message_scan(Stage *stage, const char **cursor, const char *end, const TimestampRules *times,
			 const MessageRange *range, MessageError *error)
{
	return scan_message(stage, cursor, end, times, range, false, error);
}

ScanStatus
message_scan_line(Stage *stage, const char **cursor, const char *end, const TimestampRules *times,
				  const MessageRange *range, MessageError *error)
{
	return scan_message(stage, cursor, end, times, range, true, error);
}

/* Gives a message without a tag the range's, and refuses one that is not within the range. */
static ScanStatus __attribute__((noinline)) check_range(Scan *scan, const MessageRange *range)
{
	if ((scan->seen & FIELD_TAG) == 0)
	{
		scan->tag = range->tag;
		scan->tag_length = range->tag_length;
		scan->seen |= FIELD_TAG;
	}
	if (scan->tag_length != range->tag_length ||
		memcmp(scan->tag, range->tag, range->tag_length) != 0)
		return invalid(scan, "tag", "tag is another one than that of the parameter \"tag\"");
	if ((scan->seen & FIELD_TIME) != 0 &&
		(scan->time_ns < range->start_ns || scan->time_ns >= range->end_ns))
		return invalid(scan, "time",
					   "time is not within the range that is replaced: it must be at least %lld ns "
					   "and less than %lld ns",
					   (long long) range->start_ns, (long long) range->end_ns);
	return SCAN_OK;
}

/* Which of the three fields a name is; 0 for none. */
static unsigned
field_of(const char *name, size_t length)
{
	if (length == 4 && memcmp(name, "time", 4) == 0)
		return FIELD_TIME;
	if (length == 3 && memcmp(name, "tag", 3) == 0)
		return FIELD_TAG;
	if (length == 6 && memcmp(name, "values", 6) == 0)
		return FIELD_VALUES;
	return 0;
}

/* Steps over this text, if the message goes on with it. */
static inline bool
take(Scan *scan, const char *text, size_t length)
{
	if ((size_t) (scan->end - scan->c) < length || memcmp(scan->c, text, length) != 0)
		return false;
	scan->c += length;
	return true;
}

/* Steps over a field name and its colon, if they are as nearly all clients write them. */
static inline unsigned
take_field(Scan *scan)
{
	if (take(scan, "\"time\":", 7))
		return FIELD_TIME;
	if (take(scan, "\"tag\":", 6))
		return FIELD_TAG;
	if (take(scan, "\"values\":", 9))
		return FIELD_VALUES;
	return 0;
}

/* Scans any other text of a field name and its colon, and sets *field. */
static ScanStatus __attribute__((noinline)) scan_field_name(Scan *scan, unsigned *field)
{
	const char *name;
	const char *close;
	bool escapes;
	bool odd;
	char decoded[32];
	ScanStatus status;

	if (*scan->c != '"')
		return invalid(scan, "", "a field name in quotes is missing");
	status = scan_string(scan, &name, &close, &escapes, &odd);
	if (status != SCAN_OK)
		return status == SCAN_INCOMPLETE ? status
										 : invalid(scan, "", "a field name is not a valid string");
	if (!escapes)
		*field = field_of(name, (size_t) (close - name));
	else
	{
		int length =
			message_json_string(name - 1, (size_t) (close - name) + 2, decoded, sizeof(decoded));

		if (length == -1)
			return invalid(scan, "", "a field name is not a valid string");
		*field = length < 0 ? 0 : field_of(decoded, (size_t) length);
	}
	if (*field == 0)
	{
		char unknown[40];

		snprintf(unknown, sizeof(unknown), "%.*s", (int) (close - name), name);
		return invalid(scan, unknown, "unknown field; a message has time, tag and values");
	}
	if (scan->seen & *field)
		return SCAN_OK; /* the caller refuses it */
	if (!skip_space(scan))
		return SCAN_INCOMPLETE;
	if (*scan->c != ':')
		return invalid(scan, "", "a colon is missing after a field name");
	scan->c++;
	return SCAN_OK;
}

/* Scans a name, a colon and a value. */
static ScanStatus
scan_field(Scan *scan)
{
	unsigned field = take_field(scan);
	ScanStatus status;

	if (field == 0 && (status = scan_field_name(scan, &field)) != SCAN_OK)
		return status;
	if (scan->seen & field)
	{
		const char *twice = field == FIELD_TIME ? "time" : field == FIELD_TAG ? "tag" : "values";

		return invalid(scan, twice, "the field \"%s\" is given twice", twice);
	}
	scan->seen |= field;

	if (!skip_space(scan))
		return SCAN_INCOMPLETE;
	switch (field)
	{
		case FIELD_TIME:
			return scan_time(scan);
		case FIELD_TAG:
			return scan_tag(scan);
		default:
			return scan_values(scan);
	}
}

static ScanStatus
scan_time(Scan *scan)
{
	NumberStatus status = number_int64(&scan->c, scan->end, &scan->time_ns);

	if (status == NUMBER_OK)
	{
		if (scan->c == scan->end)
			return SCAN_INCOMPLETE;
		return timestamp_plain(scan->times, scan->time_ns) ? SCAN_OK : convert_time(scan);
	}
	if (*scan->c == '"')
		return scan_time_text(scan);
	if (*scan->c == '-' && scan->c + 1 == scan->end)
		return SCAN_INCOMPLETE;
	if (status == NUMBER_RANGE)
		return invalid(scan, "time", "time does not fit into a signed 64-bit integer");
	return invalid(scan, "time",
				   "time must be an integer, nanoseconds unless precision= says otherwise, or an "
				   "RFC 3339 string");
}

/* Makes a time of an integer that is not nanoseconds, or does not look like it. */
static ScanStatus __attribute__((noinline)) convert_time(Scan *scan)
{
	char buffer[TIMESTAMP_WRONG_BYTES];
	const char *wrong = timestamp_from_integer(scan->times, scan->time_ns, &scan->time_ns, buffer);

	return wrong == NULL ? SCAN_OK : invalid(scan, "time", "time %s", wrong);
}

/* Scans a time that is a string. */
static ScanStatus __attribute__((noinline)) scan_time_text(Scan *scan)
{
	char decoded[MAX_TIME_BYTES];
	const char *text;
	const char *close;
	const char *end;
	const char *number;
	const char *wrong;
	bool escapes;
	bool odd;
	int length;
	ScanStatus status = scan_string(scan, &text, &close, &escapes, &odd);

	if (status != SCAN_OK)
		return status == SCAN_INCOMPLETE ? status
										 : invalid(scan, "time", "time is not a valid string");
	length = (int) (close - text);
	if (escapes)
	{
		length = message_json_string(text - 1, (size_t) length + 2, decoded, sizeof(decoded));
		if (length == -1)
			return invalid(scan, "time", "time has an invalid escape");
		text = decoded;
		if (length < 0)
			length = 0; /* it is too long, and no time either */
	}
	end = text + length;
	number = text;
	if (number_int64(&number, end, &scan->time_ns) == NUMBER_RANGE || (length > 0 && number == end))
		return invalid(scan, "time", "time is a string of digits; an integer has no quotes");
	wrong = timestamp_read_rfc3339(text, (size_t) length, &scan->time_ns);
	return wrong == NULL ? SCAN_OK : invalid(scan, "time", "time %s", wrong);
}

/* Scans the value of the field tag, and checks what it may contain. */
static ScanStatus
scan_tag(Scan *scan)
{
	const char *close;
	bool escapes;
	bool odd;
	ScanStatus status;

	if (*scan->c != '"')
		return invalid(scan, "tag", "tag must be a string");
	status = scan_string(scan, &scan->tag, &close, &escapes, &odd);
	if (status != SCAN_OK)
		return status == SCAN_INCOMPLETE
				   ? status
				   : invalid(scan, "tag", "tag has a control character or is not valid UTF-8");

	scan->tag_length = (size_t) (close - scan->tag);
	if (escapes)
	{
		int length = message_json_string(scan->tag - 1, scan->tag_length + 2, scan->decoded,
										 sizeof(scan->decoded));

		if (length == -1)
			return invalid(scan, "tag", "tag has an invalid escape");
		scan->tag = scan->decoded;
		scan->tag_length = length < 0 ? MESSAGE_MAX_TAG_BYTES + 1 : (size_t) length;
		if (length > 0 && memchr(scan->decoded, '\0', (size_t) length) != NULL)
			return invalid(scan, "tag", "tag has a NUL character");
	}
	if (scan->tag_length == 0)
		return invalid(scan, "tag", "tag is empty");
	if (scan->tag_length > MESSAGE_MAX_TAG_BYTES)
		return invalid(scan, "tag", "tag is longer than %d bytes", MESSAGE_MAX_TAG_BYTES);
	/* Control characters would reach terminals and shells with the tag. */
	if ((escapes || odd) && utf8_has_control(scan->tag, scan->tag_length))
		return invalid(scan, "tag", "tag has a control character");
	return SCAN_OK;
}

/*
 * Skips bytes of a string that are no quote, no backslash and no control character, eight at a
 * time.  The subtractions set the highest bit of the first byte that is one of these, and of no byte
 * before it.  Sets *odd if a byte is over 0x7E.
 */
static inline const char *
skip_plain_words(const char *c, const char *end, bool *odd)
{
	uint64_t all = 0;
	uint64_t special = 0;

	for (; special == 0 && end - c >= 8; c += 8)
	{
		uint64_t word;
		uint64_t quote;
		uint64_t backslash;

		memcpy(&word, c, sizeof(word));
		word = le64toh(word);
		quote = word ^ EACH('"');
		backslash = word ^ EACH('\\');
		special = (((quote - EACH(1)) & ~quote) | ((backslash - EACH(1)) & ~backslash) |
				   ((word - EACH(' ')) & ~word)) &
				  EACH(0x80);
		if (special != 0)
		{
			int bit = __builtin_ctzll(special) & ~7;

			word &= (UINT64_C(1) << bit) - 1;
			c += bit / 8 - 8;
		}
		all |= word | (word + EACH(1));
	}
	*odd |= (all & EACH(0x80)) != 0;
	return c;
}

#ifdef __SSE2__
/* The same, sixteen at a time. */
static inline const char *
skip_plain(const char *c, const char *end, bool *odd)
{
	const __m128i last_control = _mm_set1_epi8(' ' - 1);

	for (; end - c >= 16; c += 16)
	{
		__m128i bytes = _mm_loadu_si128((const __m128i *) c);
		__m128i special = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
									   _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
		unsigned over = (unsigned) _mm_movemask_epi8(
			_mm_or_si128(bytes, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F))));
		unsigned stop;

		special =
			_mm_or_si128(special, _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_control), last_control));
		stop = (unsigned) _mm_movemask_epi8(special);
		if (stop != 0)
		{
			*odd |= (over & (stop - 1) & ~stop) != 0;
			return c + __builtin_ctz(stop);
		}
		*odd |= over != 0;
	}
	return skip_plain_words(c, end, odd);
}
#else
#define skip_plain skip_plain_words
#endif

/*
 * Scans a string from its opening quote, and leaves scan->c after the closing one.  *start and
 * *close limit the text between, which is UTF-8.  *escapes says whether it has a backslash, and *odd
 * whether it has a byte over 0x7E.
 */
static ScanStatus
scan_string(Scan *scan, const char **start, const char **close, bool *escapes, bool *odd)
{
	const char *c = scan->c + 1;
	const char *end = scan->end;

	*start = c;
	*escapes = false;
	*odd = false;
	for (;; c++)
	{
		c = skip_plain(c, end, odd);
		if (c == end)
			return SCAN_INCOMPLETE;
		if (*c == '"')
			break;
		if ((unsigned char) *c < ' ')
			return SCAN_INVALID;
		if (*c == '\\')
		{
			*escapes = true;
			if (++c == end)
				return SCAN_INCOMPLETE;
		}
		*odd |= (unsigned char) *c > 0x7E;
	}
	*close = c;
	scan->c = c + 1;
	if (*odd && !utf8_valid(*start, (size_t) (c - *start)))
		return SCAN_INVALID;
	return SCAN_OK;
}

static ScanStatus __attribute__((cold, noinline))
value_invalid(Scan *scan, NumberStatus status, uint32_t index)
{
	char field[24];

	snprintf(field, sizeof(field), "values[%u]", index);
	if (status == NUMBER_RANGE)
		return invalid(scan, field, "%s is too large for a 64-bit floating point number", field);
	return invalid(scan, field, "%s is neither a JSON number nor null", field);
}

/* Does the text end inside what may become a number with the bytes that have not come yet? */
static bool
number_is_cut(const char *c, const char *end)
{
	while (c < end && *c != '\0' && strchr("0123456789+-.eE", *c) != NULL)
		c++;
	return c == end;
}

/* Scans null, which the text may also cut. */
static ScanStatus __attribute__((noinline)) scan_null(Scan *scan, double *value)
{
	size_t left = (size_t) (scan->end - scan->c);

	if (memcmp(scan->c, "null", left < 4 ? left : 4) != 0)
		return SCAN_INVALID;
	if (left < 4)
		return SCAN_INCOMPLETE;
	value_set_null(value);
	scan->has_nulls = true;
	scan->c += 4;
	return SCAN_OK;
}

/* Scans the array of the field values, into the stage. */
static ScanStatus
scan_values(Scan *scan)
{
	double *values = stage_reserve(scan->stage, VALUES_STEP)->values;
	uint32_t count = 0;

	if (*scan->c != '[')
		return invalid(scan, "values", "values must be an array of numbers and nulls");
	do
	{
		NumberStatus status;

		scan->c++;
		if (!skip_space(scan))
			return SCAN_INCOMPLETE;
		if (*scan->c == ']' && count == 0)
			break;
		if (count == MESSAGE_MAX_VALUES)
			return invalid(scan, "values", "values has more than %d elements", MESSAGE_MAX_VALUES);
		if (count > 0 && count % VALUES_STEP == 0)
			values = stage_reserve(scan->stage, count + VALUES_STEP)->values;
		status = number_double(&scan->c, scan->end, &values[count]);
		if (status != NUMBER_OK)
		{
			ScanStatus null = scan_null(scan, &values[count]);

			if (null == SCAN_INCOMPLETE ||
				(null == SCAN_INVALID && number_is_cut(scan->c, scan->end)))
				return SCAN_INCOMPLETE;
			if (null == SCAN_INVALID)
				return value_invalid(scan, status, count);
		}
		count++;
		if (!skip_space(scan))
			return SCAN_INCOMPLETE;
	} while (*scan->c == ',');

	if (*scan->c != ']')
	{
		if (count == 0)
			return value_invalid(scan, NUMBER_SYNTAX, count);
		return invalid(scan, "values", "a comma or a closing bracket is missing after values[%u]",
					   count - 1);
	}
	scan->c++;
	scan->value_count = count;
	return SCAN_OK;
}
