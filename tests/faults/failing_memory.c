// Preloaded by failing_memory.py: from the n-th call on, or at that call alone, memory cannot be had;
// or threads cannot be started.
//   FAULT_MALLOC_FROM=n, FAULT_MALLOC_AT=n   calls of malloc and its like are counted from 1
//   FAULT_MALLOC_COUNT=FILE                  the number of calls is written there at the end
//   FAULT_THREADS=n                          all but the first n threads are refused (EAGAIN)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static long from = -1, at = -1, threads = -1;
static long calls = 0, started = 0;
static int counting = 0;

static long number(const char* name) {
  const char* text = getenv(name);
  return text ? atol(text) : -1;
}

// By many_starts.c, too, before each start.
__attribute__((constructor)) void begin_faults(void) {
  calls = started = 0;
  from = number("FAULT_MALLOC_FROM");
  at = number("FAULT_MALLOC_AT");
  threads = number("FAULT_THREADS");
  counting = 1;
}

__attribute__((destructor)) static void end(void) {
  counting = 0;
  const char* path = getenv("FAULT_MALLOC_COUNT");
  if (!path) return;
  char text[32];
  const int length = snprintf(text, sizeof text, "%ld\n", calls);
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) return;
  if (write(file, text, (size_t)length) < 0) _exit(99);
  close(file);
}

static int refused(void) {
  if (!counting) return 0;
  const long call = __sync_add_and_fetch(&calls, 1);
  if (call != at && (from < 0 || call < from)) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) { return refused() ? NULL : __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return refused() ? NULL : __libc_calloc(count, size); }
void* realloc(void* block, size_t size) { return refused() ? NULL : __libc_realloc(block, size); }
void* aligned_alloc(size_t alignment, size_t size) {
  return refused() ? NULL : __libc_memalign(alignment, size);
}
int posix_memalign(void** block, size_t alignment, size_t size) {
  if (refused()) return ENOMEM;
  *block = __libc_memalign(alignment, size);
  return *block ? 0 : ENOMEM;
}
void* mmap(void* address, size_t size, int protection, int flags, int file, off_t offset) {
  if (file < 0 && refused()) return MAP_FAILED;
  return (void*)syscall(SYS_mmap, address, size, protection, flags, file, offset);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                   void* argument) {
  static int (*real)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) = NULL;
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "pthread_create");
  if (threads >= 0 && __sync_add_and_fetch(&started, 1) > threads) return EAGAIN;
  return real(thread, attributes, body, argument);
}
