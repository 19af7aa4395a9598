// Finds the files that a table names, as people write names.
#pragma once
#include <string>

namespace graft::io {

// Names start from the table's own folder or --root; '/' stands for '\\', an image's extension is
// tried where the name has none, and the folders of another machine are left out once known.
class FileFinder {
 public:
  FileFinder(const std::string& table, const std::string& root);

  // The path to read; "" when there is no such file.
  std::string find(const std::string& name) const;
  // Where an absolute path leads nowhere: the longest end of it that is a file here tells which
  // folders of another machine stand in front. False: none is.
  bool find_elsewhere(const std::string& name);
  // Those folders; "" by default.
  const std::string& elsewhere() const { return elsewhere_; }
  // "; in/train holds a file of that name: --root in/train", or "".
  std::string hint(const std::string& name) const;
  std::string placed(const std::string& name) const;
  const std::string& root() const { return root_; }

 private:
  std::string root_;
  std::string elsewhere_;  // what stands before the names, and is replaced by root_
};

}  // namespace graft::io
