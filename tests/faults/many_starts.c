// Preloaded by the drivers of this folder: the program is loaded once and stops before main; each
// request forks it, and the child runs main with arguments, environment, folder and files of its own.
//   MANY_STARTS=r,w   descriptors: requests are read from r, answers written to w
// A request is a 32-bit length and that many bytes: strings, each ended by NUL: the folder, the files
// that become standard output and error, the number of arguments, those, then the environment.
// An answer is two parts: the child's process number (i32), as it begins; and (4 x i64) the status as
// wait4 gives it, the most that was resident in KiB, user and system time in microseconds.
// Before main of a child begin_faults of another preloaded library is called, where there is one.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int (*main_function)(int, char**, char**);
enum { MOST_BYTES = 1 << 18, MOST_STRINGS = 4096 };

static main_function program;
static int requests = -1, answers = -1;
static char bytes[MOST_BYTES + 1];
static char *arguments[MOST_STRINGS + 1], *settings[MOST_STRINGS + 1];

static int read_all(void* to, size_t count) {
  for (size_t done = 0; done < count;) {
    const ssize_t got = read(requests, (char*)to + done, count - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    done += (size_t)got;
  }
  return 1;
}

static void answer(const void* from, size_t count) {
  for (size_t done = 0; done < count;) {
    const ssize_t put = write(answers, (const char*)from + done, count - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) _exit(0);  // the driver has gone
    done += (size_t)put;
  }
}

static char* next_string(char** at, const char* end) {
  if (*at >= end) _exit(98);
  char* string = *at;
  *at += strlen(string) + 1;
  return string;
}

static void become(int descriptor, const char* path, int flags) {
  const int file = open(path, flags, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(98);
  if (file != descriptor) close(file);
}

// The child's part: what a shell does between fork and exec. Returns the number of arguments.
static int make_ready(const char* end) {
  char* at = bytes;
  const char* folder = next_string(&at, end);
  const char* out = next_string(&at, end);
  const char* err = next_string(&at, end);
  const int count = atoi(next_string(&at, end));
  if (count < 1 || count > MOST_STRINGS) _exit(98);
  for (int i = 0; i < count; ++i) arguments[i] = next_string(&at, end);
  for (int i = 0; at < end && i < MOST_STRINGS; ++i) settings[i] = next_string(&at, end);
  close(requests);
  close(answers);
  setsid();  // so that all that it starts can be ended with it
  become(0, "/dev/null", O_RDONLY);
  become(1, out, O_WRONLY | O_CREAT | O_TRUNC);
  become(2, err, O_WRONLY | O_CREAT | O_TRUNC);
  if (folder[0] && chdir(folder) != 0) _exit(98);
  environ = settings;
  void (*begin)(void) = NULL;
  *(void**)&begin = dlsym(RTLD_DEFAULT, "begin_faults");
  if (begin) begin();
  return count;
}

static int serve(int argc, char** argv, char** environment) {
  (void)argc, (void)argv, (void)environment;
  for (;;) {
    uint32_t length = 0;
    if (!read_all(&length, sizeof length)) _exit(0);  // no more
    if (length > MOST_BYTES || !read_all(bytes, length)) _exit(98);
    bytes[length] = 0;
    const pid_t child = fork();
    if (child < 0) _exit(98);
    if (child == 0) {
      const int count = make_ready(bytes + length);
      return program(count, arguments, settings);  // and then the C library ends the process
    }
    const int32_t number = child;
    answer(&number, sizeof number);
    int status = 0;
    struct rusage used;
    while (wait4(child, &status, 0, &used) < 0)
      if (errno != EINTR) _exit(98);
    const int64_t end[] = {status, used.ru_maxrss, used.ru_utime.tv_sec * 1000000LL + used.ru_utime.tv_usec,
                           used.ru_stime.tv_sec * 1000000LL + used.ru_stime.tv_usec};
    answer(end, sizeof end);
  }
}

int __libc_start_main(main_function main, int argc, char** argv, void (*begin)(void), void (*end)(void),
                      void (*loader_end)(void), void* stack) {
  int (*real)(main_function, int, char**, void (*)(void), void (*)(void), void (*)(void), void*) = NULL;
  *(void**)&real = dlsym(RTLD_NEXT, "__libc_start_main");
  const char* text = getenv("MANY_STARTS");
  if (text && sscanf(text, "%d,%d", &requests, &answers) == 2) {
    program = main;
    main = serve;
  }
  return real(main, argc, argv, begin, end, loader_end, stack);
}
