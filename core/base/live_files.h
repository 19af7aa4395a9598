// The files that this process has made and that must not outlive it: half-written ones, locks. For
// a program that is told to stop, or whose file system refused to remove one of them.
#pragma once
#include <string>

#include "graft/core/base/export.h"

namespace graft {

// Removes them all. For the end of a process. May be called by a signal handler, which must then
// end the process: whoever was writing is not told.
GRAFT_API void remove_live_files() noexcept;

struct LivePlace;

// A file's place in that list, from before it is made until it is finished or removed.
class GRAFT_API LiveFile {
 public:
  explicit LiveFile(const std::string& path);
  ~LiveFile();
  LiveFile(const LiveFile&) = delete;
  LiveFile& operator=(const LiveFile&) = delete;
  // Removes the file if it is still there. One that cannot be removed now stays in the list for the
  // rest of the process's life: remove_live_files() tries again. For names that nobody else uses.
  void remove();

 private:
  std::string path_;
  int owner_;                   // a child after fork removes nothing of its parent's
  LivePlace* place_ = nullptr;  // null: the list is full, and the next run finds what is left
};

}  // namespace graft
