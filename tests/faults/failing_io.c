// Preloaded by io_faults.py: the n-th call on files below a folder fails, writes half, or ends the process.
//   FAULT_IO_PATH=TEXT     calls on paths that hold TEXT are counted from 1, all others left alone
//   FAULT_IO_LOG=FILE      a line for each: "operation path"
//   FAULT_IO_AT=n          that call is the one; FAULT_IO_ERRNO=e what it fails with (5: EIO)
//   FAULT_IO_MODE=once     it fails; from: it and all later ones; short: half is read or written;
//                kill      the process ends before it; torn: after half of it, or after the call
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum mode { ONCE, FROM, SHORT, KILL, TORN };
enum fate { NORMAL, FAILS, HALF, ENDS_AFTER };

static long calls, at;
static int mode, error_number;
static const char *below = 0, *journal = 0;

// By many_starts.c, too, before each start.
__attribute__((constructor)) void begin_faults(void) {
  calls = 0, at = -1, mode = ONCE, error_number = EIO;
  const char* modes[] = {"once", "from", "short", "kill", "torn"};
  const char* text = getenv("FAULT_IO_MODE");
  for (int i = 0; text && i < 5; ++i)
    if (strcmp(text, modes[i]) == 0) mode = i;
  if ((text = getenv("FAULT_IO_AT"))) at = atol(text);
  if ((text = getenv("FAULT_IO_ERRNO"))) error_number = atoi(text);
  journal = getenv("FAULT_IO_LOG");
  below = getenv("FAULT_IO_PATH");
}

static void end_here(void) { kill(getpid(), SIGKILL); }

static enum fate fate_of(const char* operation, const char* path) {
  if (!below || !path || !strstr(path, below)) return NORMAL;
  const long number = __sync_add_and_fetch(&calls, 1);
  if (journal) {
    char line[4400];
    const int length = snprintf(line, sizeof line, "%s %s\n", operation, path);
    const int file = (int)syscall(SYS_openat, AT_FDCWD, journal, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (file >= 0) {
      syscall(SYS_write, file, line, (long)length);
      syscall(SYS_close, file);
    }
  }
  if (at < 0 || (mode == FROM ? number < at : number != at)) return NORMAL;
  if (mode == KILL) end_here();
  return mode == SHORT ? HALF : mode == TORN ? ENDS_AFTER : FAILS;
}

static enum fate fate_of_descriptor(const char* operation, int descriptor) {
  if (!below || descriptor <= 2) return NORMAL;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  path[length > 0 ? length : 0] = 0;
  return fate_of(operation, path);
}

#define REAL(type, name, ...)             \
  static type (*real)(__VA_ARGS__);       \
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, #name)
#define FAIL(result)     \
  do {                   \
    errno = error_number; \
    return result;       \
  } while (0)

ssize_t write(int file, const void* bytes, size_t count) {
  REAL(ssize_t, write, int, const void*, size_t);
  const enum fate fate = fate_of_descriptor("write", file);
  if (fate == FAILS) FAIL(-1);
  if (fate == NORMAL) return real(file, bytes, count);
  const ssize_t result = real(file, bytes, count > 1 ? count / 2 : count);
  if (fate == ENDS_AFTER) end_here();
  return result;
}

ssize_t read(int file, void* bytes, size_t count) {
  REAL(ssize_t, read, int, void*, size_t);
  const enum fate fate = fate_of_descriptor("read", file);
  if (fate == FAILS) FAIL(-1);
  return real(file, bytes, fate == HALF && count > 1 ? count / 2 : count);
}

ssize_t pread64(int file, void* bytes, size_t count, off64_t offset) {
  REAL(ssize_t, pread64, int, void*, size_t, off64_t);
  const enum fate fate = fate_of_descriptor("read", file);
  if (fate == FAILS) FAIL(-1);
  return real(file, bytes, fate == HALF && count > 1 ? count / 2 : count, offset);
}
ssize_t pread(int file, void* bytes, size_t count, off_t offset) { return pread64(file, bytes, count, offset); }

int fsync(int file) {
  REAL(int, fsync, int);
  const enum fate fate = fate_of_descriptor("fsync", file);
  if (fate == FAILS) FAIL(-1);
  const int result = real(file);
  if (fate == ENDS_AFTER) end_here();
  return result;
}

// A descriptor is closed whatever close() answers.
int close(int file) {
  REAL(int, close, int);
  const enum fate fate = fate_of_descriptor("close", file);
  const int result = real(file);
  if (fate == ENDS_AFTER) end_here();
  if (fate == FAILS) FAIL(-1);
  return result;
}

int ftruncate64(int file, off64_t size) {
  REAL(int, ftruncate64, int, off64_t);
  const enum fate fate = fate_of_descriptor("truncate", file);
  if (fate == FAILS) FAIL(-1);
  const int result = real(file, size);
  if (fate == ENDS_AFTER) end_here();
  return result;
}
int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

int rename(const char* from, const char* to) {
  REAL(int, rename, const char*, const char*);
  const enum fate fate = fate_of("rename", to);
  if (fate == FAILS) FAIL(-1);
  const int result = real(from, to);
  if (fate == ENDS_AFTER) end_here();
  return result;
}

int unlink(const char* path) {
  REAL(int, unlink, const char*);
  const enum fate fate = fate_of("unlink", path);
  if (fate == FAILS) FAIL(-1);
  const int result = real(path);
  if (fate == ENDS_AFTER) end_here();
  return result;
}

int mkdir(const char* path, mode_t permissions) {
  REAL(int, mkdir, const char*, mode_t);
  const enum fate fate = fate_of("mkdir", path);
  if (fate == FAILS) FAIL(-1);
  const int result = real(path, permissions);
  if (fate == ENDS_AFTER) end_here();
  return result;
}

DIR* opendir(const char* path) {
  REAL(DIR*, opendir, const char*);
  if (fate_of("list", path) == FAILS) FAIL(0);
  return real(path);
}

static int opened(int folder, const char* path, int flags, mode_t permissions) {
  REAL(int, openat64, int, const char*, int, ...);
  const int writes = (flags & (O_WRONLY | O_RDWR)) != 0;
  const enum fate fate = fate_of(writes ? "open to write" : "open", path);
  if (fate == FAILS) FAIL(-1);
  const int result = real(folder, path, flags, permissions);
  if (fate == ENDS_AFTER) end_here();
  return result;
}
#define OPENED(folder)                                                       \
  mode_t permissions = 0;                                                    \
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {          \
    va_list more;                                                            \
    va_start(more, flags);                                                   \
    permissions = va_arg(more, mode_t);                                      \
    va_end(more);                                                            \
  }                                                                          \
  return opened(folder, path, flags, permissions)
int open(const char* path, int flags, ...) { OPENED(AT_FDCWD); }
int open64(const char* path, int flags, ...) { OPENED(AT_FDCWD); }
int openat(int folder, const char* path, int flags, ...) { OPENED(folder); }
int openat64(int folder, const char* path, int flags, ...) { OPENED(folder); }
