// The readers behind open_data(), one file a format. Each gives one part (train or val) with its
// classes.
#pragma once
#include <optional>

#include "graft/io/datasets/dataset.h"
#include "graft/io/datasets/image_files.h"

namespace graft::io {

struct DataPart {
  std::shared_ptr<const Dataset> dataset{};  // null: the part is not there
  std::vector<std::string> classes{};
  std::string name{};  // its folder's; "": the data set has no folders of parts
};
struct DataParts {
  DataPart train = {}, val = {}, test = {};
  FileKind files = {};  // what the samples are
  AnswerKind answers = AnswerKind::one_label;
  std::string answers_why = {};
  std::vector<std::string> notes = {}, doubts = {};
  PassedOver passed_over = {};
};

// need_train false: the training part is read only when there is no other, and one class is enough.
// least_classes: where a sample is of one class.
struct PartsWanted {
  bool need_train = true;
  int64_t least_classes = 2;
  AnswerKind answers = AnswerKind::one_label;
  FileKind files = {};
};
DataParts read_folder(const std::string& path, const PartsWanted& wanted);
// Files whose names say their labels (TableColumns::label_pattern).
DataParts read_named_files(const std::string& path, const std::string& label_pattern,
                           const PartsWanted& wanted);
// A folder of files with a text a line, each file a class.
bool is_line_folder(const std::string& path);
DataParts read_line_files(const std::string& path, const PartsWanted& wanted);
// Those samples of the training part whose paths have the pattern become the validation part.
void split_by_name(OpenedData& data, const std::string& path, const std::string& pattern);
bool is_idx_folder(const std::string& path);
DataParts read_idx(const std::string& path);
bool is_cifar_folder(const std::string& path);
DataParts read_cifar(const std::string& path);
DataParts read_table(const std::string& path, const TableColumns& columns,
                     const PartsWanted& wanted);
DataPart read_npz_data(const std::string& path);

// Images kept as one block of u8 pixels [N,H,W,C] with labels: what IDX, CIFAR and npz files
// become.
std::shared_ptr<const Dataset> pixel_dataset(std::string file, Tensor pixels,
                                             std::vector<int64_t> labels);

}  // namespace graft::io
