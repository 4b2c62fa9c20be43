/*
 * write_arrow.c
 *	  Writes rows as an Arrow stream, for test_arrow.py to read it.
 *
 * Arguments: the unit of times in ns, whether they are integers (0 or 1), the names of the columns of values.  Standard
 * input: for each piece of a COPY uint32 length, and its bytes.  Output: the stream; on standard error for each piece 1 if it
 * was taken, and 0 if it was not.
 */
#include "arrow/arrow_rows.h"

#include <stdio.h>
#include <stdlib.h>

static char *
read_exactly(size_t size)
{
	char *data = malloc(size); /* of this size, so that a read past its end is seen */

	if (fread(data, 1, size, stdin) != size)
		abort();
	return data;
}

static void
flush(Bytes *out)
{
	fwrite(out->data, 1, out->length, stdout);
	out->length = 0;
}

int
main(int argc, char **argv)
{
	Bytes out = {0};
	ArrowTimes times = {atoll(argv[1]), atoi(argv[2])};
	ArrowRows *rows = arrow_rows_new((const char *const *) argv + 3, argc - 3, times, &out);
	uint32_t length;

	while (fread(&length, 1, sizeof(length), stdin) == sizeof(length))
	{
		char *piece = read_exactly(length);

		fputc(arrow_rows_take(rows, piece, length, &out) ? '1' : '0', stderr);
		free(piece);
		flush(&out);
	}
	arrow_rows_end(rows, &out);
	flush(&out);
	arrow_rows_free(rows);
	bytes_free(&out);
	return 0;
}
