// RUN: the folder a training run writes to, and the rule that nothing in it is lost by accident.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/core/base/file_system.h"

namespace graft::tools {

struct RunFolder {
  std::string path{};
  bool resume = false;                  // there is a checkpoint and it is to be continued
  std::shared_ptr<FileLock> lock = {};  // of the folder, as long as the run lasts; null where the
                                        // file system has none

  std::string model() const;
  std::string checkpoint() const;
  std::string metrics() const;
  std::string report() const;
  std::string data() const;      // what the data were understood to be
  std::string features() const;  // of a frozen prefix, while the run goes on
};

// Whether a run wrote into the folder.
bool holds_a_run(const std::string& path);
// The runs path/1, path/2, ...
std::vector<std::string> numbered_runs(const std::string& path);

// A path that ends in '/' and is no run's own folder is one of numbered runs: the next, or with
// resume the last, is opened.
// Makes the folder, locks it, and proves that its files can be written, before any work is spent
// and before anything in it is touched. Error(usage) when another run has it, or when it holds
// anything and neither flag is given; overwrite removes a former run's files, resume keeps them.
// resume without a checkpoint starts from the beginning, so that a script may always pass it.
RunFolder open_run_folder(const std::string& path, bool resume, bool overwrite);

}  // namespace graft::tools
