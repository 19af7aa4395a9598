// TensorFlow Lite's models (.tflite) as plain data. Field names follow schema.fbs.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/core/base/file_system.h"
#include "graft/core/tensor/tensor.h"
#include "graft/io/weights/limits.h"
#include "graft/io/weights/weights.h"

namespace graft::io::tflite {

// TensorType's codes, as far as they are told apart.
enum class Type : int8_t {
  float32 = 0,
  float16 = 1,
  int32 = 2,
  uint8 = 3,
  int64 = 4,
  boolean = 6,
  int16 = 7,
  int8 = 9
};
GRAFT_API std::string name_of(Type type);  // "FLOAT32", "INT4"

// An integer q stands for scale * (q - zero); one of each, or one for each index of `axis`.
struct Quantization {
  std::vector<double> scales{};  // none: not quantized
  std::vector<int64_t> zeros{};
  int64_t axis = 0;
};

struct StoredTensor {
  std::string name{};
  Type type = Type::float32;
  std::vector<int64_t> shape{};
  bool open_batch = false;  // shape_signature leaves the first axis open
  bool variable = false;    // state that the model changes
  Tensor value{};           // of a constant; int16 is widened to int32; undefined: computed
  Quantization quantization{};
};

// Options of an operator, by the schema's names; what is not written is its default.
struct Options {
  std::map<std::string, double, std::less<>> numbers{};
  std::map<std::string, std::vector<int64_t>, std::less<>> lists{};
};

struct Operator {
  std::string name{};                        // "CONV_2D", or "custom 'Name'"
  std::vector<int64_t> inputs{}, outputs{};  // indices of tensors; -1: left out
  Options options{};
};

struct Model {
  std::string path{};
  int64_t version = 0;
  std::string description{};
  std::string minimum_runtime{};  // from the metadata; "": not said
  std::vector<StoredTensor> tensors{};
  std::vector<Operator> operators{};
  std::vector<int64_t> inputs{}, outputs{};
  std::map<int64_t, std::string> signature{};  // names that the caller knows inputs and outputs by
  std::string labels{};                        // a text file of labels packed with the model
  std::vector<std::string> notes{};
};

// Whether a file that begins so is one.
GRAFT_API bool starts_as_tflite(std::string_view start);

// The first subgraph of a .tflite file. bad_input naming the path and the tensor or operator for
// damaged files, sparse tensors, constants of types that graft has not, and control flow.
GRAFT_API Model read_model(File& file, const ReadLimits& limits = {});
GRAFT_API Model read_model(const std::string& path, const ReadLimits& limits = {});
GRAFT_API Model parse_model(std::span<const std::byte> bytes, const std::string& name,
                            const ReadLimits& limits = {});

// A constant as the numbers that it stands for: float32 where it is quantized or of 16 bits, as it
// is otherwise.
GRAFT_API Tensor real_value(const StoredTensor& tensor);

// Its constants as a file of weights, of real values.
GRAFT_API WeightFile weights_of(const Model& model);

}  // namespace graft::io::tflite
