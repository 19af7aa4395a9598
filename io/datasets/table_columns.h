// The columns of a table of images: which of them name files, answers and parts, and where the
// files lie.
#pragma once
#include <string>
#include <vector>

#include "graft/io/datasets/dataset.h"
#include "graft/io/datasets/part_folders.h"
#include "graft/io/datasets/table.h"

namespace graft::io {

// Finds the files that a table names: from its own folder or --root, with '/' for '\', and with an
// image's extension where the name has none.
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

struct Columns {
  bool has_header = false;
  std::vector<std::string> names{};  // empty without a header
  size_t image = 0;
  std::vector<size_t> answers{};  // at least one
  int64_t split = -1;

  std::string shown(size_t c) const;
};

// bad_input naming `path` where a wanted column is not there, or which one is meant cannot be told.
Columns find_columns(const Table& table, const FileFinder& finder, const TableColumns& wanted,
                     AnswerKind kind, const std::string& path);

// What a cell of a split column says.
PartRole split_role(const std::string& column, const std::string& value);

}  // namespace graft::io
