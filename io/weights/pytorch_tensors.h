// From a parsed pickle and the places of its storages to named tensors; shared by PyTorch's two
// file formats.
#pragma once
#include <map>
#include <string>

#include "graft/core/base/file_system.h"
#include "graft/io/weights/pickle.h"
#include "graft/io/weights/weights.h"

namespace graft::io {

// Where a storage's elements stand in the file.
struct StorageRecord {
  int64_t offset = 0;
  int64_t bytes = 0;
};

// One use of a storage by a pickle.
struct StorageUse {
  std::string_view key;
  StoredType type = StoredType::f32;
  int64_t numel = 0;        // of the whole storage
  int64_t view_offset = 0;  // elements; legacy files may use a part of a storage
  int64_t view_numel = 0;
};
// From a PickleKind::storage value. bad_input for a damaged one or an element type graft does not
// have.
StorageUse storage_use(const Pickle& pickle, const PickleValue& storage);

struct TensorSource {
  const Pickle& pickle;
  const std::map<std::string, StorageRecord, std::less<>>& storages;
  File& file;
  const ReadLimits& limits;
  std::vector<std::string> code = {};  // that the file holds beside the pickle
};

// "os.system, posix.system and 3 more": what of a file would be code, for messages; "" for none.
std::string names_of_code(const Pickle& pickle, const std::vector<std::string>& beside = {});

// Walks the root value's dictionaries, lists and tuples; a tensor's name is its path, joined by
// dots. Adds tensors, roots and notes. Equal views of one storage become one tensor. The tensors
// together may have at most four times the file's size (expanded tensors repeat elements).
void collect_tensors(const TensorSource& source, WeightFile& result);

}  // namespace graft::io
