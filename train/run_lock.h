// The lock of a run's folder: one run at a time writes into it.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "graft/core/base/file_system.h"

namespace graft::train {

constexpr const char* kLockFile = ".graft-lock";

// Makes the folder where it is missing and takes its lock, which ends with the result or with the
// process. Error(usage) naming the process and the machine that have it. Null where the file system
// has no locks, which on_note is told.
GRAFT_API std::unique_ptr<FileLock> lock_run(
    const std::string& folder, const std::function<void(const std::string&)>& on_note = {});

}  // namespace graft::train
