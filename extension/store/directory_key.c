/*
 * directory_key.c
 *	  The keys of the directory: by which tag and time a stored segment is found.
 */
#include "postgres.h"

#include "store/directory_key.h"

#include "compat.h"

#define RUN_PREFIX "\0\1"

/* The prefix and the number of a run, before the fence. */
#define BEFORE_FENCE_BYTES (RUN_PREFIX_BYTES + SEGMENT_RUN_NUMBER_BYTES)

static void put_tag(DirectoryTag *tag, const char *prefix, Size prefix_bytes, const char *bytes,
					Size length, Size suffix_bytes);

void
directory_key(const SegmentHeader *header, DirectoryTag *tag, Datum *values, bool *isnull)
{
	if (header->flags & SEGMENT_RUN_ROOT)
		directory_key_roots(tag);
	else if (header->flags & SEGMENT_SHARED)
		put_tag(tag, RUN_PREFIX, RUN_PREFIX_BYTES, header->tag, header->tag_bytes, 0);
	else
		put_tag(tag, NULL, 0, header->tag, header->tag_bytes,
				header->flags & SEGMENT_SUMMARY ? SUMMARY_SUFFIX_BYTES
				: header->flags & SEGMENT_LATE ? LATE_SUFFIX_BYTES : 0);
	values[0] = PointerGetDatum(directory_tag_text(tag));
	isnull[0] = false;
	values[1] = Int64GetDatum(header->first_time);
	isnull[1] = (header->flags & (SEGMENT_COMPACTED | SEGMENT_SUMMARY | SEGMENT_LATE)) == 0;
}

void
directory_key_run(DirectoryTag *tag, uint64 number, const char *fence, Size fence_bytes)
{
	char		run_tag[SEGMENT_RUN_NUMBER_BYTES + SEGMENT_MAX_TAG_BYTES];

	segment_put_run_number(run_tag, number);
	memcpy(run_tag + SEGMENT_RUN_NUMBER_BYTES, fence, fence_bytes);
	put_tag(tag, RUN_PREFIX, RUN_PREFIX_BYTES, run_tag, SEGMENT_RUN_NUMBER_BYTES + fence_bytes, 0);
}

void
directory_key_run_end(DirectoryTag *tag, uint64 number)
{
	char		fence[SEGMENT_MAX_TAG_BYTES];

	memset(fence, 0xff, sizeof(fence));
	directory_key_run(tag, number, fence, sizeof(fence));
}

void
directory_key_after(DirectoryTag *tag, const text *key)
{
	put_tag(tag, NULL, 0, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), 1);
}

void
directory_key_roots(DirectoryTag *tag)
{
	put_tag(tag, RUN_PREFIX, RUN_PREFIX_BYTES, NULL, 0, 0);
}

void
directory_key_first_user_tag(DirectoryTag *tag)
{
	put_tag(tag, "\0\377", 2, NULL, 0, 0);
}

const char *
directory_key_fence(const text *tag, Size *bytes)
{
	Assert(VARSIZE_ANY_EXHDR(tag) >= BEFORE_FENCE_BYTES);
	*bytes = VARSIZE_ANY_EXHDR(tag) - BEFORE_FENCE_BYTES;
	return VARDATA_ANY(tag) + BEFORE_FENCE_BYTES;
}

void
directory_key_copy(DirectoryTag *tag, const text *from)
{
	Size		length = Min(VARSIZE_ANY_EXHDR(from), sizeof(*tag) - VARHDRSZ);

	SET_VARSIZE(directory_tag_text(tag), VARHDRSZ + length);
	memmove(VARDATA(directory_tag_text(tag)), VARDATA_ANY(from), length);
}

/* Puts a prefix, bytes and so many NULs together. */
static void
put_tag(DirectoryTag *tag, const char *prefix, Size prefix_bytes, const char *bytes, Size length,
		Size suffix_bytes)
{
	char	   *dst = VARDATA(directory_tag_text(tag));

	Assert(VARHDRSZ + prefix_bytes + length + suffix_bytes <= sizeof(*tag));
	SET_VARSIZE(directory_tag_text(tag), VARHDRSZ + prefix_bytes + length + suffix_bytes);
	if (prefix_bytes > 0)
		memcpy(dst, prefix, prefix_bytes);
	if (length > 0)
		memcpy(dst + prefix_bytes, bytes, length);
	memset(dst + prefix_bytes + length, 0, suffix_bytes);
}
