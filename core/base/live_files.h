// The files that this process has made and that must not outlive it: half-written ones, locks. For
// a program that is told to stop.
#pragma once
#include <string>

#include "graft/core/base/export.h"

namespace graft {

// Removes them all. May be called by a signal handler, which must then end the process: whoever was
// writing is not told.
GRAFT_API void remove_live_files() noexcept;

struct LivePlace;

// A file's place in that list, from before it is made until it is finished or removed.
class GRAFT_API LiveFile {
 public:
  explicit LiveFile(const std::string& path);
  ~LiveFile();
  LiveFile(const LiveFile&) = delete;
  LiveFile& operator=(const LiveFile&) = delete;

 private:
  LivePlace* place_ = nullptr;  // null: the list is full, and the next run finds what is left
};

}  // namespace graft
