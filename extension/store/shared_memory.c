/*
 * shared_memory.c
 *	  The library's shared memory: one area, with a part for each module that reserves one.
 */
#include "postgres.h"

#include "store/shared_memory.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#define MAX_PARTS 4

typedef struct Part
{
	const char *lock_name;
	Size		bytes;
	SharedMemoryAttach attach;
} Part;

/* The area begins with this; the parts follow. */
typedef struct AreaHeader
{
	LWLock	   *locks[MAX_PARTS];
} AreaHeader;

static Part parts[MAX_PARTS];
static int	nparts = 0;
static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static void on_shmem_request(void);
static void on_shmem_startup(void);
static Size area_bytes(void);

void
shared_memory_reserve(const char *lock_name, Size bytes, SharedMemoryAttach attach)
{
	Assert(process_shared_preload_libraries_in_progress && nparts < MAX_PARTS);
	if (nparts == 0)
	{
		next_shmem_request = shmem_request_hook;
		shmem_request_hook = on_shmem_request;
		next_shmem_startup = shmem_startup_hook;
		shmem_startup_hook = on_shmem_startup;
	}
	parts[nparts++] = (Part) {.lock_name = lock_name,.bytes = bytes,.attach = attach};
}

static void
on_shmem_request(void)
{
	if (next_shmem_request != NULL)
		next_shmem_request();
	RequestAddinShmemSpace(area_bytes());
	for (int i = 0; i < nparts; i++)
		RequestNamedLWLockTranche(parts[i].lock_name, 1);
}

static void
on_shmem_startup(void)
{
	AreaHeader *header;
	char	   *part;
	bool		found;

	if (next_shmem_startup != NULL)
		next_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	header = ShmemInitStruct("historian", area_bytes(), &found);
	if (!found)
	{
		memset(header, 0, area_bytes());
		for (int i = 0; i < nparts; i++)
			header->locks[i] = &GetNamedLWLockTranche(parts[i].lock_name)->lock;
	}
	part = (char *) header + MAXALIGN(sizeof(AreaHeader));
	for (int i = 0; i < nparts; i++)
	{
		parts[i].attach(part, header->locks[i], !found);
		part += MAXALIGN(parts[i].bytes);
	}
	LWLockRelease(AddinShmemInitLock);
}

static Size
area_bytes(void)
{
	Size		bytes = MAXALIGN(sizeof(AreaHeader));

	for (int i = 0; i < nparts; i++)
		bytes += MAXALIGN(parts[i].bytes);
	return bytes;
}
