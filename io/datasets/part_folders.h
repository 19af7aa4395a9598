// Which folders of a data set are its training, validation and test parts, by the names that people
// give them.
#pragma once
#include <string>
#include <vector>

namespace graft::io {

enum class PartRole { none, train, val, test };

// Whatever the case, with '-' or ' ' for '_': train, training, training_set, train_set, trainset,
// seg_train; val, valid, validation, dev, ... ; test, testing, ...
PartRole part_role(const std::string& folder_name);

struct PartFolders {
  std::string train{}, val{}, test{};  // names; "": there is none
  std::vector<std::string> others{};   // folders that may be classes
};

// Sorts the folders of a data set. bad_input when two claim one part.
PartFolders sort_parts(const std::string& path, const std::vector<std::string>& folders);

}  // namespace graft::io
