// instruction_workloads NAME: prepares a workload and runs it once in count_here(), the function in
// which callgrind counts. --list: their names. --describe: what the counts depend on beside the
// code.
#include <gnu/libc-version.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define GRAFT_STARTED_BY ""
#else
#define CALLGRIND_START_INSTRUMENTATION static_cast<void>(0)
#define GRAFT_STARTED_BY " without valgrind's headers"
#endif

#include <cstdio>
#include <cstring>
#include <exception>

#include "graft/core/runtime/exec_context.h"
#include "graft/tests/instructions/workload.h"

// Found by its name: callgrind's --toggle-collect switches the counting on in it.
extern "C" __attribute__((noinline)) void count_here(const std::function<void()>& work) {
  work();
  asm volatile("");  // no tail call
}

namespace {

int run(const char* wanted) {
  using namespace graft;
  std::vector<instructions::NamedWorkload> all = instructions::network_workloads();
  for (instructions::NamedWorkload& more : instructions::image_workloads())
    all.push_back(std::move(more));
  if (std::strcmp(wanted, "--list") == 0) {
    for (const auto& workload : all) std::printf("%s\n", workload.name.c_str());
    return 0;
  }
  ExecContext context(1);
  const ScopedExecContext scope(context);
  for (const auto& workload : all) {
    if (workload.name != wanted) continue;
    const std::function<void()> work = workload.prepare();
    CALLGRIND_START_INSTRUMENTATION;  // what is prepared above runs several times faster without
    count_here(work);
    return 0;
  }
  std::fprintf(stderr, "instruction_workloads: no workload is called %s\n", wanted);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const bool saves = argc == 3 && std::strcmp(argv[1], "--save") == 0;
  if (argc != 2 && !saves) {
    std::fprintf(stderr, "usage: instruction_workloads NAME|--list|--describe|--save FILE\n");
    return 2;
  }
  if (std::strcmp(argv[1], "--describe") == 0) {
    std::printf("compiler %s, glibc %s, %s\n", GRAFT_COMPILER GRAFT_STARTED_BY,
                gnu_get_libc_version(), GRAFT_JPEG_LIBRARY);
    return 0;
  }
  try {
    if (saves) {
      graft::instructions::save_small_model(argv[2]);
      return 0;
    }
    return run(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "instruction_workloads: %s\n", error.what());
    return 1;
  }
}
