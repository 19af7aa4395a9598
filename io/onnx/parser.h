// The parser's parts that several files share: what it counts, and where external data comes from.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "graft/core/base/file_system.h"
#include "graft/io/onnx/model.h"
#include "graft/io/onnx/wire.h"

namespace graft::io::onnx {

// Files with tensor data beside a model. Each is opened below the model's folder, once.
class ExternalData {
 public:
  explicit ExternalData(std::string folder) : folder_(std::move(folder)) {}
  void read(const std::string& location, int64_t offset, std::span<std::byte> out);
  // The size of `location`; bad_input when it cannot be opened. Also grants the memory budget of
  // its tensors.
  int64_t size(const std::string& location);
  // Charged with a tensor's bytes before it is allocated: tensors may share bytes, but only to four
  // times the size.
  void charge(int64_t bytes);

 private:
  static constexpr size_t most_files = 10'000;
  File& open(const std::string& location);
  std::string folder_;
  std::map<std::string, std::unique_ptr<File>> files_;
  int64_t allowance_ = int64_t{16} << 20;
};

struct ParseContext {
  const ReadLimits& limits;
  MemoryBudget& budget;
  ExternalData* external = nullptr;  // nullptr: external data is refused
  int64_t nodes = 0;
  int64_t tensors = 0;
  int64_t widened_tensors = 0;
};

// `bytes` must outlive the call only. `owner` names the tensor's place for messages when it has no
// name.
NamedTensor parse_tensor_proto(Bytes bytes, ParseContext& context, const std::string& owner);
Model parse_model_proto(Bytes bytes, ParseContext& context);

// A name or other text, charged to the budget.
std::string take_text(WireReader& reader, ParseContext& context);

}  // namespace graft::io::onnx
