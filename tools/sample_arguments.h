// The samples that a verb's arguments name, whatever they are: files, rows of tables, standard
// input.
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "graft/io/datasets/text_list.h"
#include "graft/tools/image_arguments.h"

namespace graft::tools {

// Of files that stand alone a sample each, and standard input one. Of texts each line of standard
// input, each row of a table, and a file.
class SampleArguments {
 public:
  SampleArguments(const std::vector<std::string>& given, const io::TableColumns& columns,
                  const io::FileKind& kind);
  size_t size() const { return names_.size(); }
  const std::string& name(size_t i) const { return names_[i]; }
  ImageSource source(size_t i) const;

 private:
  std::vector<std::string> names_{};
  std::deque<std::optional<io::NamedText>> texts_{};  // of each name, where it is no file
  std::optional<StandardInput> input_{};
};

}  // namespace graft::tools
