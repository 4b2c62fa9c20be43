/*
 * http_framing.c
 *	  A gate before the parser: checks that requests are framed as RFC 9112 demands.
 *
 * The tolerance of llhttp differs between its versions and the ways that Debian builds it.  If two
 * programs on a request's way disagree about where it ends, one of them takes for a request what
 * the other took for a body.  So the gate lets only those bytes through that can be read in one
 * way:
 *
 *	- Lines end with CR and LF, and there is no other CR.
 *	- The first line is METHOD SP target SP HTTP/1.1, or HTTP/1.0, with single spaces.
 *	- A field is name ":" value, without a space before the colon, a line that goes on in the next
 *	  one, or a control character.
 *	- There is one Host.  There is at most one Content-Length, which is a number.  There is at most
 *	  one Transfer-Encoding, which is "chunked", and not beside a Content-Length nor in HTTP/1.0.
 *	- The size of a chunk has at most 16 digits.  Extensions and trailers count as headers, and have
 *	  none of the fields above.
 *
 * The gate looks at every byte of a head and skips the bytes of a body.  It keeps the first bytes
 * of a request (FramingOpening), because the next one on the connection mostly begins with the same
 * bytes: one comparison shows that, and the same bytes lead to the same state.
 */
#include "http/http_framing.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define TEXT_OF(number) #number
#define TEXT(number)	TEXT_OF(number)

enum
{
	START, /* of a request, before which one empty line is allowed */
	START_LF,
	METHOD,
	TARGET_START,
	TARGET,
	VERSION,
	LINE_CR,
	LINE_LF,
	FIELD_START,
	NAME,
	VALUE,
	VALUE_LF,
	HEAD_LF, /* of the empty line after the fields */
	BODY,
	CHUNK_START,
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_QUOTED,
	CHUNK_ESCAPED,
	CHUNK_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
};

#define IS_TOKEN  1 /* RFC 9110, 5.6.2: tchar */
#define IS_TARGET 2 /* of a URI without a fragment; bytes from 0x80 on too, which curl sends */
#define IS_VALUE  4 /* RFC 9110, 5.5: visible characters, space, tab, bytes from 0x80 on */
#define IS_HEX	  8

static const uint8_t classes[256] = {
	['\t'] = IS_VALUE,
	[' '] = IS_VALUE,
	['!'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	['"'] = IS_TARGET | IS_VALUE,
	['#'] = IS_TOKEN | IS_VALUE,
	['$' ... '\''] = IS_TOKEN | IS_TARGET | IS_VALUE,
	['('] = IS_TARGET | IS_VALUE,
	[')'] = IS_TARGET | IS_VALUE,
	['*'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	['+'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	[','] = IS_TARGET | IS_VALUE,
	['-'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	['.'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	['/'] = IS_TARGET | IS_VALUE,
	['0' ... '9'] = IS_TOKEN | IS_TARGET | IS_VALUE | IS_HEX,
	[':' ... '@'] = IS_TARGET | IS_VALUE,
	['A' ... 'F'] = IS_TOKEN | IS_TARGET | IS_VALUE | IS_HEX,
	['G' ... 'Z'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	['[' ... ']'] = IS_TARGET | IS_VALUE,
	['^' ... '`'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	['a' ... 'f'] = IS_TOKEN | IS_TARGET | IS_VALUE | IS_HEX,
	['g' ... 'z'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	['{'] = IS_TARGET | IS_VALUE,
	['|'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	['}'] = IS_TARGET | IS_VALUE,
	['~'] = IS_TOKEN | IS_TARGET | IS_VALUE,
	[0x80 ... 0xFF] = IS_TARGET | IS_VALUE,
};

static bool step(Framing *framing, unsigned char c);
static void keep_name(Framing *framing, const char *data, size_t length);
static bool name_complete(Framing *framing);
static void keep_value(Framing *framing, unsigned char c);
static bool value_complete(Framing *framing);
static bool fields_complete(Framing *framing);
static void end_request(Framing *framing);

static bool
refuse(Framing *framing, int status, const char *detail)
{
	framing->status = status;
	framing->detail = detail;
	return false;
}

/* How many more bytes the fields may have. */
static size_t
field_room(const Framing *framing)
{
	return HTTP_MAX_HEADER_BYTES - framing->field_bytes;
}

/* Takes the usual end of a request line, if it has come as a whole. */
static size_t
whole_version(Framing *framing, const char *data, size_t length)
{
	static const char usual[] = "HTTP/1.1\r\n";
	size_t size = sizeof(usual) - 1;

	if (framing->value_size > 0 || length < size || memcmp(data, usual, size) != 0)
		return 0;
	framing->state = FIELD_START;
	return size;
}

/* How many bytes from here on are of that class. */
static size_t
class_run(const char *data, size_t length, uint8_t class)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	size_t count = 0;

	/* Most values have only bytes from 0x20 to 0x7E: eight of those are passed at a time. */
	for (uint64_t word; class == IS_VALUE && length - count >= sizeof(word); count += sizeof(word))
	{
		memcpy(&word, data + count, sizeof(word));
		if (((word | (word + ones) | (word - 0x20 * ones)) & (0x80 * ones)) != 0)
			break;
	}
	while (count < length && (classes[(unsigned char) data[count]] & class) != 0)
		count++;
	return count;
}

static bool
is_line_end(const char *data, size_t length)
{
	return length >= 2 && data[0] == '\r' && data[1] == '\n';
}

/* Takes the line end after all fields, or a name with its colon, if it has come as a whole. */
static size_t
begin_line(Framing *framing, const char *data, size_t length)
{
	size_t name;

	if (is_line_end(data, length))
		return fields_complete(framing) ? 2 : 1;
	name = class_run(data, length, IS_TOKEN);
	if (name == 0 || name == length || data[name] != ':' || name >= field_room(framing))
		return 0;
	framing->name_size = 0;
	keep_name(framing, data, name);
	if (!name_complete(framing))
		return name;
	framing->field_bytes += (uint32_t) name + 1;
	return name + 1;
}

/* Takes a value or more of it, and its line end if that has come. */
static size_t
take_value(Framing *framing, const char *data, size_t length)
{
	size_t room = field_room(framing);
	size_t end = class_run(data, length < room ? length : room, IS_VALUE);

	for (size_t i = 0; framing->kept && i < end; i++)
		keep_value(framing, (unsigned char) data[i]);
	framing->field_bytes += (uint32_t) end;
	if (room - end < 2 || !is_line_end(data + end, length - end) || !value_complete(framing))
		return end;
	framing->field_bytes += 2;
	framing->state = FIELD_START;
	return end + 2;
}

/* Takes as much of a body or chunk as has come. */
static size_t
skip_data(Framing *framing, size_t length)
{
	size_t count = framing->left < length ? (size_t) framing->left : length;

	framing->left -= count;
	if (framing->left > 0)
		return count;
	if (framing->state == BODY)
		end_request(framing);
	else
		framing->state = CHUNK_DATA_CR;
	return count;
}

/*
 * Takes bytes of one kind together, because most bytes come in such runs.  Returns 0 if the next
 * byte is the matter of step(), or is refused.
 */
static size_t
take_run(Framing *framing, const char *data, size_t length)
{
	size_t count;

	switch (framing->state)
	{
		case METHOD:
			return class_run(data, length, IS_TOKEN);
		case TARGET:
			return class_run(data, length, IS_TARGET);
		case VERSION:
			return whole_version(framing, data, length);
		case FIELD_START:
			return begin_line(framing, data, length);
		case NAME:
			count = field_room(framing);
			count = class_run(data, length < count ? length : count, IS_TOKEN);
			framing->field_bytes += (uint32_t) count;
			keep_name(framing, data, count);
			return count;
		case VALUE:
			return take_value(framing, data, length);
		case BODY:
		case CHUNK_DATA:
			return skip_data(framing, length);
	}
	return 0;
}

/* Takes the opening if the request that begins here has the same one. */
static size_t
take_opening(Framing *framing, const char *data, size_t length)
{
	FramingOpening *opening = &framing->opening;

	if (opening->length == 0 || length < opening->length ||
		memcmp(data, opening->text, opening->length) != 0)
	{
		opening->length = 0;
		return 0;
	}
	framing->http_1_0 = opening->http_1_0;
	framing->chunked = opening->chunked;
	framing->has_length = opening->has_length;
	framing->has_host = opening->has_host;
	framing->field_bytes = opening->field_bytes;
	framing->kept = opening->chunked || opening->has_length;
	framing->state = framing->kept ? VALUE : FIELD_START;
	return opening->length;
}

/* Extends the opening to the bytes of the request that were taken so far, if it can end there. */
static void
extend_opening(Framing *framing, const char *request, size_t length)
{
	FramingOpening *opening = &framing->opening;
	bool framed = framing->chunked || framing->has_length;
	bool can = framed ? framing->state == VALUE && framing->kept && framing->value_size == 0
					  : framing->state == FIELD_START;

	if (!can || length <= opening->length || length > sizeof(opening->text))
		return;
	memcpy(opening->text + opening->length, request + opening->length, length - opening->length);
	opening->length = (uint16_t) length;
	opening->http_1_0 = framing->http_1_0;
	opening->chunked = framing->chunked;
	opening->has_length = framing->has_length;
	opening->has_host = framing->has_host;
	opening->field_bytes = framing->field_bytes;
}

size_t
framing_check(Framing *framing, const char *data, size_t length)
{
	const char *request = NULL; /* where it begins, if it does here */
	size_t done = 0;

	while (done < length && framing->status == 0)
	{
		size_t run;

		if (framing->state == START)
		{
			request = data + done;
			run = take_opening(framing, request, length - done);
		}
		else
			run = take_run(framing, data + done, length - done);
		if (run == 0 && framing->status == 0 && step(framing, (unsigned char) data[done]))
			run = 1;
		done += run;
		if (request != NULL)
			extend_opening(framing, request, (size_t) (data + done - request));
	}
	return done;
}

/*
 * The fields that say where a request ends, and Host
 */

static inline bool
name_is(const Framing *framing, const char *name)
{
	return framing->name_size == strlen(name) &&
		   strncasecmp(framing->name, name, strlen(name)) == 0;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c | 0x20) : c;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

static void
keep_name(Framing *framing, const char *data, size_t length)
{
	size_t room = sizeof(framing->name) - framing->name_size;

	if (length > room)
		length = room;
	memcpy(framing->name + framing->name_size, data, length);
	framing->name_size += (uint8_t) length;
}

/* Looks at the name of a field, after its colon was read. */
static bool
name_complete(Framing *framing)
{
	bool length = name_is(framing, "content-length");
	bool encoding = name_is(framing, "transfer-encoding");
	bool host = name_is(framing, "host");

	framing->kept = length || encoding;
	framing->value_size = 0;
	framing->state = VALUE;
	if (framing->trailer && (framing->kept || host || name_is(framing, "connection")))
		return refuse(framing, 400, "a trailer may not say how the request is framed or routed");
	if (length && framing->has_length)
		return refuse(framing, 400, "the header Content-Length is given twice");
	if (encoding && framing->chunked)
		return refuse(framing, 400, "the header Transfer-Encoding is given twice");
	if (encoding && framing->http_1_0)
		return refuse(framing, 400, "HTTP/1.0 has no Transfer-Encoding");
	if (host && framing->has_host)
		return refuse(framing, 400, "the header Host is given twice");
	framing->has_length |= length;
	framing->chunked |= encoding;
	framing->has_host |= host;
	if (framing->has_length && framing->chunked)
		return refuse(framing, 400, "Content-Length and Transfer-Encoding exclude each other");
	return true;
}

/* Keeps a byte of the value, without leading white space and as far as there is room. */
static void
keep_value(Framing *framing, unsigned char c)
{
	if (framing->value_size == 0 && is_space((char) c))
		return;
	if (framing->value_size < sizeof(framing->value))
		framing->value[framing->value_size++] = lower((char) c);
}

static bool
length_complete(Framing *framing)
{
	framing->left = 0;
	for (int i = 0; i < framing->value_size; i++)
	{
		char c = framing->value[i];

		if (c < '0' || c > '9' ||
			__builtin_mul_overflow(framing->left, (uint64_t) 10, &framing->left) ||
			__builtin_add_overflow(framing->left, (uint64_t) (c - '0'), &framing->left))
			return refuse(framing, 400, "Content-Length is not a number of bytes");
	}
	return framing->value_size > 0 ||
		   refuse(framing, 400, "Content-Length is not a number of bytes");
}

/*
 * Looks at the value of Transfer-Encoding.  RFC 9112, 6.1 and 6.3: 400 if the last coding is not
 * chunked, and
 * 501 if there is another one before it.
 */
static bool
encoding_complete(Framing *framing)
{
	static const char chunked[] = "chunked";
	size_t size = sizeof(chunked) - 1;
	size_t given = framing->value_size;
	bool last;

	last = given >= size && memcmp(framing->value + given - size, chunked, size) == 0;
	if (last && given == size)
		return true;
	if (last && strchr(" \t,", framing->value[given - size - 1]) != NULL &&
		memmem(framing->value, given - size, chunked, size) == NULL)
		return refuse(framing, 501, "the only Transfer-Encoding that is supported is chunked");
	return refuse(framing, 400, "the Transfer-Encoding is not chunked");
}

/* Looks at the value of a field, after the CR behind it was read. */
static bool
value_complete(Framing *framing)
{
	framing->state = VALUE_LF;
	if (!framing->kept)
		return true;
	while (framing->value_size > 0 && is_space(framing->value[framing->value_size - 1]))
		framing->value_size--;
	/* A value that fills the array may have been cut. */
	if (framing->value_size == sizeof(framing->value))
		return refuse(framing, 400,
					  "the header Content-Length or Transfer-Encoding is too long to be valid");
	return framing->has_length ? length_complete(framing) : encoding_complete(framing);
}

/* Goes on after the fields of a head or a trailer have ended. */
static bool
fields_complete(Framing *framing)
{
	if (!framing->trailer && !framing->has_host && !framing->http_1_0)
		return refuse(framing, 400, "the header Host is missing");
	if (framing->trailer || (!framing->chunked && framing->left == 0))
		end_request(framing);
	else
		framing->state = framing->chunked ? CHUNK_START : BODY;
	return true;
}

/*
 * One byte after the other
 */

static void
end_request(Framing *framing)
{
	memset(framing, 0, offsetof(Framing, opening));
}

static bool
version_step(Framing *framing, unsigned char c)
{
	static const char form[] = "HTTP/d.d";
	char wanted = form[framing->value_size];

	if (wanted == 'd' ? c < '0' || c > '9' : c != (unsigned char) wanted)
		return refuse(framing, 400, "the request line does not end with HTTP/1.1");
	framing->value[framing->value_size++] = (char) c;
	if (form[framing->value_size] != '\0')
		return true;
	framing->http_1_0 = c == '0';
	framing->state = LINE_CR;
	return (framing->value[5] == '1' && c <= '1') ||
		   refuse(framing, 505, "only HTTP/1.1 and HTTP/1.0 are supported");
}

/* Counts a byte of a field, or of a chunk's extension. */
static bool
count_field_byte(Framing *framing)
{
	if (framing->field_bytes == HTTP_MAX_HEADER_BYTES)
		return refuse(framing, 431,
					  "the headers are longer than " TEXT(HTTP_MAX_HEADER_BYTES) " bytes");
	framing->field_bytes++;
	return true;
}

static bool
expect_byte(Framing *framing, unsigned char c, char wanted, uint8_t next, const char *detail)
{
	if (c != (unsigned char) wanted)
		return refuse(framing, 400, detail);
	framing->state = next;
	return true;
}

static bool
chunk_size_step(Framing *framing, unsigned char c)
{
	if ((classes[c] & IS_HEX) != 0)
	{
		if (framing->digits == 16)
			return refuse(framing, 400, "the size of a chunk has more than 16 digits");
		framing->digits++;
		framing->left = framing->left << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
		framing->state = CHUNK_SIZE;
		return true;
	}
	if (framing->digits == 0 || (c != ';' && c != '\r'))
		return refuse(framing, 400, "the size of a chunk is not a hexadecimal number");
	framing->state = c == ';' ? CHUNK_EXTENSION : CHUNK_LF;
	return true;
}

/*
 * An extension is ignored, but a line end within quotes is refused: it could be read in two ways.
 */
static bool
extension_step(Framing *framing, unsigned char c)
{
	if (c == '\r' && framing->state == CHUNK_EXTENSION)
		framing->state = CHUNK_LF;
	else if ((classes[c] & IS_VALUE) == 0)
		return refuse(framing, 400, "a chunk has an extension that is not name=value");
	else if (framing->state == CHUNK_ESCAPED)
		framing->state = CHUNK_QUOTED;
	else if (c == '"')
		framing->state = framing->state == CHUNK_QUOTED ? CHUNK_EXTENSION : CHUNK_QUOTED;
	else if (c == '\\' && framing->state == CHUNK_QUOTED)
		framing->state = CHUNK_ESCAPED;
	return true;
}

/* Begins a chunk or the trailer, after the line with the size was read. */
static void
begin_chunk(Framing *framing)
{
	framing->trailer = framing->left == 0;
	framing->state = framing->trailer ? FIELD_START : CHUNK_DATA;
}

/* Takes one byte in any state; false if it is refused. */
static bool
step(Framing *framing, unsigned char c)
{
	static const char line_end[] = "a line does not end with CR and LF";
	static const char control[] = "a header has a control character";

	switch (framing->state)
	{
		case START:
			if (c == '\r' && !framing->empty_line)
			{
				framing->state = START_LF;
				return true;
			}
			if ((classes[c] & IS_TOKEN) == 0)
				return refuse(framing, 400, "the request does not begin with a method");
			framing->state = METHOD;
			return true;
		case START_LF:
			framing->empty_line = true; /* a second one is too many */
			return expect_byte(framing, c, '\n', START, line_end);
		case METHOD:
			if (c == ' ')
				framing->state = TARGET_START;
			else if ((classes[c] & IS_TOKEN) == 0)
				return refuse(framing, 400, "the method has a character that is not allowed");
			return true;
		case TARGET_START:
			framing->state = TARGET;
			return (classes[c] & IS_TARGET) != 0 ||
				   refuse(framing, 400, "the request target is missing");
		case TARGET:
			framing->state = VERSION;
			return c == ' ' || refuse(framing, 400,
									  "the request target has a character that must be encoded, "
									  "or no version follows it");
		case VERSION:
			return version_step(framing, c);
		case LINE_CR:
			return expect_byte(framing, c, '\r', LINE_LF, line_end);
		case LINE_LF:
			return expect_byte(framing, c, '\n', FIELD_START, line_end);
		case FIELD_START:
			framing->name_size = 0;
			if (c == '\r')
			{
				framing->state = HEAD_LF;
				return true;
			}
			if (c == ' ' || c == '\t')
				return refuse(framing, 400, "a header line begins with white space");
			framing->state = NAME;
			__attribute__((fallthrough));
		case NAME:
			if (!count_field_byte(framing))
				return false;
			if (c == ':' && framing->name_size > 0)
				return name_complete(framing);
			if ((classes[c] & IS_TOKEN) == 0)
				return refuse(framing, 400, "a header is not name: value");
			keep_name(framing, &(char){(char) c}, 1);
			return true;
		case VALUE:
			if (!count_field_byte(framing))
				return false;
			if (c == '\r')
				return value_complete(framing);
			keep_value(framing, c);
			return (classes[c] & IS_VALUE) != 0 ||
				   refuse(framing, 400, c == '\n' ? line_end : control);
		case VALUE_LF:
			return count_field_byte(framing) &&
				   expect_byte(framing, c, '\n', FIELD_START, line_end);
		case HEAD_LF:
			return expect_byte(framing, c, '\n', HEAD_LF, line_end) && fields_complete(framing);
		case CHUNK_START:
			framing->left = 0;
			framing->digits = 0;
			__attribute__((fallthrough));
		case CHUNK_SIZE:
			return chunk_size_step(framing, c);
		case CHUNK_EXTENSION:
		case CHUNK_QUOTED:
		case CHUNK_ESCAPED:
			return count_field_byte(framing) && extension_step(framing, c);
		case CHUNK_LF:
			if (!expect_byte(framing, c, '\n', CHUNK_DATA, line_end))
				return false;
			begin_chunk(framing);
			return true;
		case CHUNK_DATA_CR:
			return expect_byte(framing, c, '\r', CHUNK_DATA_LF, "a chunk is longer than its size");
		case CHUNK_DATA_LF:
			return expect_byte(framing, c, '\n', CHUNK_START, line_end);
	}
	return refuse(framing, 500, "the state of the framing is unknown"); /* not reached */
}
