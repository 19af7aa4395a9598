// The columns of a table of images: which of them name files, answers and parts.
#pragma once
#include <string>
#include <vector>

#include "graft/io/datasets/dataset.h"
#include "graft/io/datasets/file_finder.h"
#include "graft/io/datasets/part_folders.h"
#include "graft/io/datasets/table.h"

namespace graft::io {

struct Columns {
  bool has_header = false;
  std::vector<std::string> names{};  // empty without a header
  size_t image = 0;
  std::vector<size_t> answers{};  // at least one
  int64_t split = -1, group = -1;

  std::string shown(size_t c) const;
};

// bad_input naming `path` where a wanted column is not there, or which one is meant cannot be told.
// of_texts: the samples stand in a column themselves, one called text, sentence, review ..., else
// the longest. Where the images' paths are of another folder or machine, the finder learns it.
Columns find_columns(const Table& table, FileFinder& finder, const TableColumns& wanted,
                     AnswerKind kind, const std::string& path, bool of_texts = false);

// Whether a column of this name usually holds texts.
bool names_text(const std::string& name);

// What a cell of a split column says.
PartRole split_role(const std::string& column, const std::string& value);

}  // namespace graft::io
