#include "graft/io/onnx/model.h"

#include "graft/io/onnx/parser.h"
#include "graft/io/weights/stored_type.h"

namespace graft::io::onnx {

File& ExternalData::open(const std::string& location) {
  auto found = files_.find(location);
  if (found == files_.end()) {
    GRAFT_CHECK(files_.size() < most_files, "has its data in more than ", most_files, " files");
    found = files_.emplace(location, file_system().open_beneath(folder_, location)).first;
    allowance_ = checked_add(allowance_, checked_mul(4, found->second->size()));
  }
  return *found->second;
}

int64_t ExternalData::size(const std::string& location) { return open(location).size(); }

void ExternalData::charge(int64_t bytes) {
  GRAFT_CHECK(bytes <= allowance_, "its tensors share external data to many times its size");
  allowance_ -= bytes;
}

void ExternalData::read(const std::string& location, int64_t offset, std::span<std::byte> out) {
  open(location).read_at(offset, out);
}

namespace {

Model parse_checked(Bytes bytes, const std::string& name, const ReadLimits& limits,
                    ExternalData* external) {
  return in_context(name, [&] {
    GRAFT_CHECK(static_cast<int64_t>(bytes.size()) <= limits.protobuf_bytes, "has ", bytes.size(),
                " bytes, more than the limit of ", limits.protobuf_bytes);
    MemoryBudget budget(static_cast<int64_t>(bytes.size()));
    ParseContext context{limits, budget, external};
    Model model = parse_model_proto(bytes, context);
    model.path = name;
    if (context.widened_tensors > 0) model.notes.push_back(widened_note(context.widened_tensors));
    return model;
  });
}

}  // namespace

Model parse_model(Bytes bytes, const std::string& name, const ReadLimits& limits) {
  return parse_checked(bytes, name, limits, nullptr);
}

Model read_model(const std::string& path, const ReadLimits& limits) {
  const std::vector<std::byte> bytes = read_file(path, limits.protobuf_bytes);
  ExternalData external(parent_path(path));
  return parse_checked(bytes, path, limits, &external);
}

NamedTensor parse_tensor(Bytes bytes, const std::string& name, const ReadLimits& limits) {
  return in_context(name, [&] {
    MemoryBudget budget(static_cast<int64_t>(bytes.size()));
    ParseContext context{limits, budget};
    return parse_tensor_proto(bytes, context, "the tensor");
  });
}

NamedTensor read_tensor(const std::string& path, const ReadLimits& limits) {
  return parse_tensor(read_file(path, limits.protobuf_bytes), path, limits);
}

}  // namespace graft::io::onnx
