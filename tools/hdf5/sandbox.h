// The walls around the process in which libhdf5 reads a file: what a reader that the file has taken
// over can still do is compute, and write to standard output and standard error.
#pragma once
#include <cstdint>
#include <string>

namespace graft::tools {

// For good, for all threads: every descriptor above 2 is closed; memory and time are bounded by the
// file's size, and by what was set already where that is less; no file can be opened or grow
// (limits, and Landlock where the kernel has it); every system call but those that memory, clocks,
// writing to 1 and 2 and ending need is refused with EPERM (seccomp, x86-64 and aarch64). No memory
// becomes executable. The process dies with its parent.
struct Sandbox {
  std::string failure{};     // not empty: a limit could not be set, and nothing may be read
  std::string unfiltered{};  // not empty: why there is no filter of system calls here
};
// Without the filter: for tests of the other walls.
Sandbox enter_sandbox(uint64_t file_bytes, bool with_filter = true);

}  // namespace graft::tools
