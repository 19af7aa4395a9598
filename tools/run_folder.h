// RUN: the folder a training run writes to, and the rule that nothing in it is lost by accident.
#pragma once
#include <string>

namespace graft::tools {

struct RunFolder {
  std::string path;
  bool resume = false;  // there is a checkpoint and it is to be continued

  std::string model() const;
  std::string checkpoint() const;
  std::string metrics() const;
  std::string report() const;
  std::string data() const;      // what the data were understood to be
  std::string features() const;  // of a frozen prefix, while the run goes on
};

// Makes the folder and proves that it can be written to, before any work is spent. Error(usage)
// when it holds anything and neither flag is given; overwrite removes a former run's files, resume
// keeps them. resume without a checkpoint starts from the beginning, so that a script may always
// pass it.
RunFolder open_run_folder(const std::string& path, bool resume, bool overwrite);

}  // namespace graft::tools
