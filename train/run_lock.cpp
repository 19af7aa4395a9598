#include "graft/train/run_lock.h"

#include "graft/core/base/error.h"

namespace graft::train {

std::unique_ptr<FileLock> lock_run(const std::string& folder,
                                   const std::function<void(const std::string&)>& on_note) {
  FileSystem& files = file_system();
  files.create_directories(folder);
  LockAttempt attempt = files.try_lock(join_path(folder, kLockFile));
  if (attempt.lock) return std::move(attempt.lock);
  if (attempt.supported)
    fail(ErrorCode::usage, folder, ": is in use by another run (", attempt.holder,
         "); let it end, or write to another folder");
  if (on_note)
    on_note(str(folder, ": its file system has no locks; nothing keeps a second run out"));
  return nullptr;
}

}  // namespace graft::train
