/*
 * spool.c
 *	  Batches on disk, for which memory has no room while PostgreSQL is away.
 *
 * A file "spool-<sequence>" is written under another name, synced, then renamed, so that a file of
 * this name is whole unless the disk lies.  It begins with SpoolHead.  Blocks follow, each with its
 * length and checksum.  The last block is empty and tells the number of rows, so that a file that
 * was cut is noticed.  A row is stored as its ticket and the message as it is in a stage.  If it is of
 * another stream than the row before, the stream's name lies between the two; the first row is after one
 * without a name.  Numbers have the machine's byte order, because the machine that fills a spool also
 * empties it; on any other one the head's magic is wrong.
 *
 * A file that was loaded must not come back after a power cut: its messages would be loaded again
 * after newer ones, and win over them.  So the file "loaded" has the number up to which files were
 * loaded, and is synced before anything newer is loaded.  It is written in place, in two slots in
 * turn, so that it needs no space on a full disk, and one slot is good whenever the power is cut.
 * No number is used twice.
 */
#include "load/spool.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define SPOOL_MAGIC		UINT64_C(0x314C4F4F50534948) /* "HISPOOL1" */
#define BLOCK_BYTES		((size_t) 1 << 20)
#define FIRST_SEQUENCE	(UINT64_C(1) << 32)
#define MARK_NAME		"loaded"
#define MARK_MAGIC		UINT64_C(0x3144454B52414D48) /* "HMARKED1" */
#define MARK_SLOTS		2
#define MARK_SLOT_BYTES 512 /* a sector, which is written whole or not at all */
#define MAX_ROW_BYTES                                                                              \
	(sizeof(RowHead) + STREAM_NAME_MAX_BYTES + sizeof(double) * MESSAGE_MAX_VALUES +               \
	 sizeof(StagedMessage) + MESSAGE_MAX_TAG_BYTES)

typedef struct SpoolHead
{
	uint64_t magic;
	uint64_t rows;
} SpoolHead;

typedef struct BlockHead
{
	uint32_t length;   /* 0: this is the last block */
	uint32_t checksum; /* CRC-32 of the block's bytes and of rows */
	uint64_t rows;	   /* of all blocks up to this one */
} BlockHead;

typedef struct Mark
{
	uint64_t magic;
	uint64_t sequence; /* files up to this number are loaded */
	uint64_t checksum;
} Mark;

typedef struct RowHead
{
	uint32_t ticket;
	uint32_t
		stream; /* 1 and the length of the stream's name, if that follows, padded to 8 bytes; or 0 */
} RowHead;

_Static_assert(sizeof(SpoolHead) == 16 && sizeof(BlockHead) == 16 && sizeof(RowHead) == 8,
			   "spool structures have no padding");

struct Spool
{
	char *directory;
	int directory_fd;
	int mark_fd;	 /* of the file "loaded"; -1: there is none */
	uint64_t loaded; /* files up to this number are loaded */
	uint64_t marks;	 /* how many marks were written: gives the next slot */
	uint64_t max_bytes;
	uint64_t next_sequence;
	List files; /* of SpoolFile.link, the oldest first */
	_Atomic uint64_t bytes;
};

static bool find_files(Spool *spool);
static void open_mark(Spool *spool);
static bool write_rows(int fd, const Batch *rows, size_t *bytes);
static uint64_t read_rows(int fd, Batch *rows, bool keep_tickets, const char **damage);
static bool read_all(int fd, void *data, size_t length);

static void
file_name(char *name, size_t size, uint64_t sequence, const char *ending)
{
	snprintf(name, size, "spool-%016" PRIx64 "%s", sequence, ending);
}

Spool *
spool_open(const char *directory, uint64_t max_bytes)
{
	Spool *spool = memory_new(sizeof(Spool));

	list_init(&spool->files);
	spool->directory = memory_strdup(directory);
	spool->max_bytes = max_bytes;
	spool->next_sequence = FIRST_SEQUENCE;
	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
	{
		log_error("cannot make the spool directory %s: %s", directory, strerror(errno));
		return NULL;
	}
	spool->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->directory_fd < 0)
	{
		log_error("cannot open the spool directory %s: %s", directory, strerror(errno));
		return NULL;
	}
	if (flock(spool->directory_fd, LOCK_EX | LOCK_NB) != 0)
	{
		log_error("the spool directory %s is in use by another process", directory);
		return NULL;
	}
	open_mark(spool);
	return find_files(spool) ? spool : NULL;
}

/*
 * The mark
 */

static uint64_t
mark_checksum(const Mark *mark)
{
	return crc32(0, (const Bytef *) mark, offsetof(Mark, checksum));
}

/*
 * Writes the mark that files up to this number are loaded; false, with errno, if it is not on disk.
 */
static bool
write_mark(Spool *spool, uint64_t sequence)
{
	Mark mark = {MARK_MAGIC, sequence, 0};
	off_t place = (off_t) (spool->marks % MARK_SLOTS) * MARK_SLOT_BYTES;

	mark.checksum = mark_checksum(&mark);
	if (pwrite(spool->mark_fd, &mark, sizeof(mark), place) != sizeof(mark) ||
		fdatasync(spool->mark_fd) != 0)
		return false;
	spool->marks++;
	spool->loaded = sequence;
	return true;
}

/*
 * Opens or makes the file "loaded", and reads its newer mark.  Without the file, which a full disk
 * may have no room for, spool_forget() syncs the directory instead.
 */
static void
open_mark(Spool *spool)
{
	static const char nothing[MARK_SLOTS * MARK_SLOT_BYTES];
	struct stat about;

	spool->mark_fd = openat(spool->directory_fd, MARK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (uint64_t slot = 0; spool->mark_fd >= 0 && slot < MARK_SLOTS; slot++)
	{
		Mark mark;

		if (pread(spool->mark_fd, &mark, sizeof(mark), (off_t) slot * MARK_SLOT_BYTES) ==
				sizeof(mark) &&
			mark.magic == MARK_MAGIC && mark.checksum == mark_checksum(&mark) &&
			mark.sequence >= spool->loaded)
		{
			spool->loaded = mark.sequence;
			spool->marks = slot + 1; /* the other one is written next */
		}
	}
	if (spool->mark_fd >= 0 && fstat(spool->mark_fd, &about) == 0 &&
		about.st_size >= (off_t) sizeof(nothing))
		return;
	if (spool->mark_fd < 0 ||
		pwrite(spool->mark_fd, nothing, sizeof(nothing), 0) != sizeof(nothing) ||
		fsync(spool->mark_fd) != 0 || fsync(spool->directory_fd) != 0)
	{
		log_warning("cannot write %s/%s: %s", spool->directory, MARK_NAME, strerror(errno));
		if (spool->mark_fd >= 0)
			close(spool->mark_fd);
		spool->mark_fd = -1;
	}
}

bool
spool_check(const char *directory)
{
	char *parent;
	char *slash;
	struct stat about;
	bool usable;

	if (stat(directory, &about) == 0)
	{
		usable = S_ISDIR(about.st_mode) && access(directory, R_OK | W_OK | X_OK) == 0;
		if (!usable)
			log_error("spool-dir: cannot use %s: %s", directory,
					  S_ISDIR(about.st_mode) ? strerror(errno) : "it is not a directory");
		return usable;
	}
	/* spool_open() would make the directory, but not its parent. */
	parent = memory_strdup(directory);
	slash = strrchr(parent, '/');
	while (slash != NULL && slash != parent && slash[1] == '\0')
	{
		*slash = '\0';
		slash = strrchr(parent, '/');
	}
	if (slash != NULL)
		slash[slash == parent] = '\0';
	usable = errno == ENOENT && access(slash != NULL ? parent : ".", W_OK | X_OK) == 0;
	if (!usable)
		log_error("spool-dir: cannot make %s: %s", directory, strerror(errno));
	free(parent);
	return usable;
}

static int
by_sequence(const void *a, const void *b)
{
	const SpoolFile *first = *(SpoolFile *const *) a;
	const SpoolFile *second = *(SpoolFile *const *) b;

	return (first->sequence > second->sequence) - (first->sequence < second->sequence);
}

/* When a file was written, on the monotonic clock, which also gives the arrivals of messages. */
static int64_t
written_ms(const struct stat *about)
{
	struct timespec wall;
	struct timespec steady;
	int64_t age_ms;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &steady);
	age_ms = (wall.tv_sec - about->st_mtim.tv_sec) * 1000 +
			 (wall.tv_nsec - about->st_mtim.tv_nsec) / 1000000;
	return steady.tv_sec * 1000 + steady.tv_nsec / 1000000 - age_ms;
}

/*
 * Queues the files that an earlier process left, and removes those that it had not finished or had
 * loaded.
 */
static bool
find_files(Spool *spool)
{
	DIR *listing = opendir(spool->directory);
	struct dirent *entry;
	SpoolFile **files = NULL;
	size_t count = 0;

	if (spool->loaded >= spool->next_sequence)
		spool->next_sequence = spool->loaded + 1;
	if (listing == NULL)
	{
		log_error("cannot read the spool directory %s: %s", spool->directory, strerror(errno));
		return false;
	}
	while ((entry = readdir(listing)) != NULL)
	{
		uint64_t sequence;
		int end = 0;
		struct stat about;

		if (sscanf(entry->d_name, "spool-%16" SCNx64 "%n", &sequence, &end) != 1)
			continue;
		if (sequence >= spool->next_sequence)
			spool->next_sequence = sequence + 1;
		if (strcmp(entry->d_name + end, ".new") == 0)
			unlinkat(spool->directory_fd, entry->d_name, 0);
		if (entry->d_name[end] == '\0' && sequence <= spool->loaded)
		{
			log_info("%s/%s was loaded before, and is removed", spool->directory, entry->d_name);
			unlinkat(spool->directory_fd, entry->d_name, 0);
			continue;
		}
		if (entry->d_name[end] != '\0' ||
			fstatat(spool->directory_fd, entry->d_name, &about, 0) != 0)
			continue;
		files = memory_resize(files, (count + 1) * sizeof(SpoolFile *));
		files[count] = memory_new(sizeof(SpoolFile));
		files[count]->sequence = sequence;
		files[count]->bytes = (size_t) about.st_size;
		files[count]->about.earlier_ms = written_ms(&about);
		count++;
	}
	closedir(listing);
	if (count > 0)
		qsort(files, count, sizeof(SpoolFile *), by_sequence);
	for (size_t i = 0; i < count; i++)
		spool_queue(spool, files[i]);
	if (count > 0)
		log_info("found %zu spool files of an earlier run in %s, which are loaded first", count,
				 spool->directory);
	free(files);
	return true;
}

SpoolFile *
spool_first(const Spool *spool)
{
	ListLink *link = list_first(&spool->files);

	return link == NULL ? NULL : LIST_ITEM(link, SpoolFile, link);
}

SpoolFile *
spool_next(const Spool *spool, const SpoolFile *file)
{
	ListLink *link = list_next(&spool->files, &file->link);

	return link == NULL ? NULL : LIST_ITEM(link, SpoolFile, link);
}

uint64_t
spool_bytes(const Spool *spool)
{
	return atomic_load(&spool->bytes);
}

bool
spool_has_room(const Spool *spool, size_t bytes)
{
	return spool_bytes(spool) + bytes <= spool->max_bytes;
}

uint64_t
spool_next_sequence(Spool *spool)
{
	return spool->next_sequence++;
}

SpoolFile *
spool_new_file(uint64_t sequence, const IngestBatch *batch)
{
	SpoolFile *file = memory_new(sizeof(SpoolFile));

	file->sequence = sequence;
	file->rows = batch_rows(batch->rows);
	file->about = *batch;
	file->about.rows = NULL;
	return file;
}

bool
spool_write(const Spool *spool, SpoolFile *file, const IngestBatch *batch, bool quiet)
{
	const SpoolHead head = {SPOOL_MAGIC, batch_rows(batch->rows)};
	char name[64];
	char unfinished[64];
	int fd;
	bool written;

	file_name(name, sizeof(name), file->sequence, "");
	file_name(unfinished, sizeof(unfinished), file->sequence, ".new");
	fd = openat(spool->directory_fd, unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	file->bytes = sizeof(head);
	written = fd >= 0 && write(fd, &head, sizeof(head)) == sizeof(head) &&
			  write_rows(fd, batch->rows, &file->bytes) && fsync(fd) == 0;
	if (!written && !quiet)
		log_error("cannot write %s/%s, trying again: %s", spool->directory, unfinished,
				  strerror(errno));
	if (fd >= 0)
		close(fd);
	if (written && (renameat(spool->directory_fd, unfinished, spool->directory_fd, name) != 0 ||
					fsync(spool->directory_fd) != 0))
	{
		if (!quiet)
			log_error("cannot name %s/%s, trying again: %s", spool->directory, name,
					  strerror(errno));
		/* The batch is written again under another number, and must not be loaded twice. */
		unlinkat(spool->directory_fd, name, 0);
		written = false;
	}
	if (!written)
		unlinkat(spool->directory_fd, unfinished, 0);
	return written;
}

void
spool_queue(Spool *spool, SpoolFile *file)
{
	list_append(&spool->files, &file->link);
	atomic_fetch_add(&spool->bytes, file->bytes);
}

void
spool_forget(Spool *spool, const SpoolFile *file)
{
	char name[64];
	char kept[64];
	bool marked;
	int result;

	file_name(name, sizeof(name), file->sequence, "");
	file_name(kept, sizeof(kept), file->sequence, ".damaged");
	/* The new name is synced before the mark, or the next start would remove the file. */
	if (file->damaged &&
		(renameat(spool->directory_fd, name, spool->directory_fd, kept) != 0 ||
		 fsync(spool->directory_fd) != 0) &&
		errno != ENOENT)
		log_error("cannot rename %s/%s: %s", spool->directory, name, strerror(errno));
	marked = spool->mark_fd >= 0 && write_mark(spool, file->sequence);
	if (!marked && spool->mark_fd >= 0)
		log_error("cannot write %s/%s: %s", spool->directory, MARK_NAME, strerror(errno));
	result = file->damaged ? 0 : unlinkat(spool->directory_fd, name, 0);
	if (result != 0 && errno == ENOENT)
		result = 0;
	/* The mark or the synced removal is enough to keep the file from being loaded again. */
	if (result == 0 && !marked)
		result = fsync(spool->directory_fd);
	if (result != 0)
		log_error("cannot remove %s/%s: %s", spool->directory, name, strerror(errno));
}

void
spool_drop_first(Spool *spool)
{
	SpoolFile *file = spool_first(spool);

	ASSERT(file != NULL && spool_bytes(spool) >= file->bytes);
	list_remove(&file->link);
	atomic_fetch_sub(&spool->bytes, file->bytes);
	free(file);
}

/* How many rows a damaged file has lost, as far as is known. */
static uint64_t
rows_lost(const SpoolFile *file, uint64_t stated, uint64_t read)
{
	uint64_t rows = file->rows > 0 ? file->rows : stated;

	/* The head has no checksum, so that its number may be damaged too. */
	if (rows > UINT32_MAX)
		rows = 0;
	return rows > read ? rows - read : 0;
}

IngestBatch *
spool_read(const Spool *spool, SpoolFile *file, bool last_try)
{
	IngestBatch *batch;
	SpoolHead head = {0};
	char name[64];
	int fd;
	int error;
	uint64_t rows = 0;
	const char *damage = NULL;

	file_name(name, sizeof(name), file->sequence, "");
	fd = openat(spool->directory_fd, name, O_RDONLY | O_CLOEXEC);
	error = errno;
	if (fd < 0 && error != ENOENT && !last_try)
	{
		log_error("cannot open %s/%s, trying again: %s", spool->directory, name, strerror(error));
		return NULL;
	}
	batch = memory_new(sizeof(IngestBatch));
	*batch = file->about;
	batch->rows = batch_new(NULL);
	errno = 0;
	if (fd < 0)
		damage = error == ENOENT ? "it is missing" : "it cannot be opened";
	else if (!read_all(fd, &head, sizeof(head)) || head.magic != SPOOL_MAGIC)
		damage = "it is not a spool file";
	else
		/* The requests that waited in an earlier process are gone, and with them their tickets. */
		rows = read_rows(fd, batch->rows, file->rows > 0, &damage);
	error = errno;
	batch_close(batch->rows);
	if (fd >= 0)
		close(fd);
	if (damage != NULL && fd >= 0 && error != 0 && last_try)
		damage = "it cannot be read";
	else if (damage != NULL && fd >= 0 && error != 0)
	{
		log_error("cannot read %s/%s, trying again: %s", spool->directory, name, strerror(error));
		batch_free(batch->rows);
		free(batch);
		return NULL;
	}
	file->damaged = damage != NULL;
	if (file->damaged)
	{
		batch->damaged = true;
		batch->lost = rows_lost(file, head.magic == SPOOL_MAGIC ? head.rows : 0, rows);
		log_error("%s/%s is damaged (%s): %" PRIu64 " rows could be read, %" PRIu64 " are lost",
				  spool->directory, name, damage, rows, batch->lost);
	}
	return batch;
}

/*
 * Contents
 */

static bool
write_all(int fd, const void *data, size_t length)
{
	const char *bytes = data;

	while (length > 0)
	{
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		bytes += written;
		length -= (size_t) written;
	}
	return true;
}

static uint32_t
block_checksum(const void *data, size_t length, uint64_t rows)
{
	uLong checksum = crc32(0, (const Bytef *) &rows, sizeof(rows));

	return (uint32_t) crc32(checksum, data, (uInt) length);
}

static bool
write_block(int fd, const Bytes *block, uint64_t rows)
{
	const BlockHead head = {
		(uint32_t) block->length,
		block_checksum(block->data, block->length, rows),
		rows,
	};

	return write_all(fd, &head, sizeof(head)) && write_all(fd, block->data, block->length);
}

static size_t
padded(size_t length)
{
	return (length + 7) & ~(size_t) 7;
}

/* Writes a batch's rows in blocks, and adds their size to *bytes. */
static bool
write_rows(int fd, const Batch *rows, size_t *bytes)
{
	BatchCursor cursor;
	const BatchRow *row;
	Bytes block = {0};
	uint64_t count = 0;
	const StreamName *stream = NULL;
	bool good = true;

	bytes_reserve(&block, BLOCK_BYTES);
	batch_cursor_seek(&cursor, rows, 0);
	while (good && (row = batch_cursor_next(&cursor)) != NULL)
	{
		size_t size = staged_size(row->value_count, cursor.tag_length);
		BatchSource source = batch_cursor_source(&cursor);
		size_t name_bytes = 0;
		RowHead head = {source.ticket, 0};
		char *out;
		StagedMessage message = {row->time_ns, row->value_count, cursor.tag_length};
		size_t values_bytes = row->value_count * sizeof(double);

		if (source.stream != stream)
		{
			head.stream = 1 + (source.stream != NULL ? (uint32_t) source.stream->length : 0);
			name_bytes = padded(head.stream - 1);
		}
		out = bytes_reserve(&block, sizeof(head) + name_bytes + size);
		memcpy(out, &head, sizeof(head));
		out += sizeof(head);
		memset(out, 0, name_bytes);
		if (name_bytes > 0)
			memcpy(out, source.stream->text, source.stream->length);
		out += name_bytes;
		stream = source.stream;
		memcpy(out, &message, sizeof(message));
		memcpy(out + sizeof(message), row->values, values_bytes);
		/* The tag's padding is zeros here as in a batch. */
		memcpy(out + sizeof(message) + values_bytes, cursor.tag,
			   size - sizeof(message) - values_bytes);
		block.length += sizeof(head) + name_bytes + size;
		count++;
		if (block.length + MAX_ROW_BYTES > BLOCK_BYTES)
		{
			good = write_block(fd, &block, count);
			*bytes += sizeof(BlockHead) + block.length;
			block.length = 0;
		}
	}
	if (good && block.length > 0)
	{
		good = write_block(fd, &block, count);
		*bytes += sizeof(BlockHead) + block.length;
		block.length = 0;
	}
	good = good && write_block(fd, &block, count);
	*bytes += sizeof(BlockHead);
	bytes_free(&block);
	return good;
}

/* Reads exactly so many bytes.  If it returns false, errno says why; 0: the file has ended. */
static bool
read_all(int fd, void *data, size_t length)
{
	char *bytes = data;

	while (length > 0)
	{
		ssize_t count = read(fd, bytes, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count == 0)
			errno = 0;
		if (count <= 0)
			return false;
		bytes += count;
		length -= (size_t) count;
	}
	return true;
}

/*
 * Adds a block's rows to the batch; false if they do not fill the block exactly.  *stream is that of
 * the row before.
 */
static bool
add_rows(Batch *rows, const char *data, size_t length, bool keep_tickets, StreamName **stream,
		 uint64_t *count)
{
	while (length > 0)
	{
		RowHead head;
		const StagedMessage *message;
		size_t name_bytes;
		size_t size;

		if (length < sizeof(head))
			return false;
		memcpy(&head, data, sizeof(head));
		data += sizeof(head);
		length -= sizeof(head);
		name_bytes = head.stream > 1 ? padded(head.stream - 1) : 0;
		if (head.stream > STREAM_NAME_MAX_BYTES + 1 || length < name_bytes + sizeof(*message))
			return false;
		if (head.stream > 0)
			*stream = name_bytes > 0 ? stream_name_of(data, head.stream - 1) : NULL;
		data += name_bytes;
		length -= name_bytes;
		message = (const StagedMessage *) data;
		if (message->value_count > MESSAGE_MAX_VALUES || message->tag_length == 0 ||
			message->tag_length > MESSAGE_MAX_TAG_BYTES)
			return false;
		size = staged_size(message->value_count, message->tag_length);
		if (size > length)
			return false;
		batch_add(rows, message, (BatchSource){keep_tickets ? head.ticket : 0, *stream});
		data += size;
		length -= size;
		++*count;
	}
	return true;
}

/* Adds a file's rows to a batch, up to the first damage, and returns how many they are. */
static uint64_t
read_rows(int fd, Batch *rows, bool keep_tickets, const char **damage)
{
	char *block = memory_new_raw(BLOCK_BYTES);
	BlockHead head;
	uint64_t count = 0;
	StreamName *stream = NULL;

	*damage = "it ends too early";
	while (read_all(fd, &head, sizeof(head)))
	{
		if (head.length > BLOCK_BYTES)
		{
			errno = 0;
			*damage = "a block's length is wrong";
			break;
		}
		if (!read_all(fd, block, head.length))
			break;
		if (block_checksum(block, head.length, head.rows) != head.checksum ||
			!add_rows(rows, block, head.length, keep_tickets, &stream, &count) ||
			count != head.rows)
		{
			errno = 0;
			*damage = "a block's checksum is wrong";
			break;
		}
		if (head.length == 0)
		{
			*damage = NULL;
			break;
		}
	}
	free(block);
	return count;
}
