// Finds the files that a table names, as people write names.
#pragma once
#include <string>

namespace graft::io {

// Names start from the table's own folder or --root; '/' stands for '\\', and an image's extension
// is tried where the name has none.
class FileFinder {
 public:
  FileFinder(const std::string& table, const std::string& root);
  // The path to read; "" when there is no such file.
  std::string find(const std::string& name) const;
  std::string placed(const std::string& name) const;
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

}  // namespace graft::io
