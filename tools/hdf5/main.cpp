// graft_read_hdf5: the process in which the graft command lets libhdf5 read a file. Standard input
// is the file, standard output a pipe for dump.h's stream, standard error for one sentence. Exit
// code 0, or 3 with the sentence. The file is mapped, then the sandbox closes, then libhdf5 looks.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "graft/core/base/error.h"
#include "graft/tools/hdf5/dump.h"
#include "graft/tools/hdf5/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
// At exit it would look for leaks from a process of its own, which the sandbox refuses. Visible, or
// the sanitizer's library finds its own instead.
extern "C" [[gnu::visibility("default")]] const char* __asan_default_options() {
  return "detect_leaks=0";
}
#endif

namespace {

void write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) ::_exit(1);  // nobody listens any more
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

int refuse(const std::string& why) {
  if (::write(STDERR_FILENO, why.data(), why.size()) < 0) return 1;
  return 3;
}

int read_standard_input() {
  struct stat status {};
  if (::fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode))
    return refuse("standard input is no file; this program is run by graft");
  const auto size = static_cast<size_t>(status.st_size);
  void* bytes =  // private: libhdf5 may write to it, the file stays
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, STDIN_FILENO, 0);
  if (bytes == MAP_FAILED) return refuse("cannot be mapped into memory");
  const graft::tools::Sandbox box = graft::tools::enter_sandbox(size);
  if (!box.failure.empty()) return refuse(box.failure);
  std::map<std::string, std::string> notes;
  if (!box.unfiltered.empty()) notes["hdf5.unfiltered"] = box.unfiltered;
  graft::tools::dump_hdf5({static_cast<std::byte*>(bytes), size}, notes,
                          [](std::span<const std::byte> part) { write_all(part); });
  return 0;
}

}  // namespace

int main() {
  try {
    return read_standard_input();
  } catch (const graft::Error& error) {
    return refuse(error.what());
  } catch (const std::bad_alloc&) {
    return refuse("needs more memory than a file of its size may");
  }
}
