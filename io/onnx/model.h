// ONNX's ModelProto as plain data: everything a graph importer needs, nothing of protobuf. Field
// names follow onnx.proto.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/core/tensor/tensor.h"
#include "graft/io/weights/limits.h"

namespace graft::io::onnx {

// TensorProto.DataType, as stored in files. Tensors of the types graft has keep them; int16, uint16
// become int32 and uint32, uint64 int64; the others are refused.
enum class ElementType : int32_t {
  undefined = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  string = 8,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bfloat16 = 16,
};
GRAFT_API std::string name_of(ElementType type);  // "float16", "float8e5m2"

// TensorProto: a named constant. `value` is undefined for a string tensor, whose elements are in
// `strings`.
struct NamedTensor {
  std::string name{};
  ElementType type = ElementType::undefined;
  std::vector<int64_t> dims{};
  Tensor value{};
  std::vector<std::string> strings{};
};

// One axis of a declared shape: a number, a symbol ("N"), or neither.
struct Dimension {
  int64_t value = -1;  // -1: not known
  std::string symbol{};
};

// ValueInfoProto. Only tensors are described; for other kinds type is undefined and `kind` says
// what it is.
struct ValueInfo {
  std::string name{};
  std::string kind =
      "tensor";  // "tensor" "sequence" "map" "optional" "sparse_tensor" "" (no type given)
  ElementType type = ElementType::undefined;
  bool has_shape = false;
  std::vector<Dimension> dims{};
};

struct Node;

struct Graph {
  std::string name{};
  // In the file's order, which the standard wants topological; not checked here. No initializer:
  // Node is not complete yet.
  std::vector<Node> nodes;
  std::vector<NamedTensor> initializers{};
  std::vector<ValueInfo> inputs{}, outputs{}, value_infos{};
};

enum class AttributeType : int32_t {
  undefined = 0,
  float_ = 1,
  int_ = 2,
  string = 3,
  tensor = 4,
  graph = 5,
  floats = 6,
  ints = 7,
  strings = 8,
  tensors = 9,
  graphs = 10,
  sparse_tensor = 11,
  sparse_tensors = 12,
  type_proto = 13,
  type_protos = 14,
};

// AttributeProto. Single values use f, i, s; a single tensor or graph is the one element of its
// list.
struct Attribute {
  std::string name{};
  AttributeType type = AttributeType::undefined;
  std::string reference{};  // ref_attr_name, inside functions
  float f = 0;
  int64_t i = 0;
  std::string s{};
  std::vector<float> floats{};
  std::vector<int64_t> ints{};
  std::vector<std::string> strings{};
  std::vector<NamedTensor> tensors{};
  std::vector<Graph> graphs{};
};

struct Node {
  std::string name{}, op_type{}, domain{},
      overload{};                                // domain "" and "ai.onnx" are both written ""
  std::vector<std::string> inputs{}, outputs{};  // "" is an absent optional one
  std::vector<Attribute> attributes{};
  // nullptr when absent.
  GRAFT_API const Attribute* find(const std::string& attribute) const;
};

struct OperatorSet {
  std::string domain{};  // "" is ai.onnx
  int64_t version = 0;
};

// FunctionProto: a model-local operator.
struct Function {
  std::string name{}, domain{}, overload{};
  std::vector<std::string> inputs{}, outputs{}, attributes{};
  std::vector<Attribute> default_attributes{};
  std::vector<Node> nodes{};
  std::vector<OperatorSet> opsets{};
};

struct Model {
  std::string path{};
  int64_t ir_version = 0;
  int64_t model_version = 0;
  std::string producer_name{}, producer_version{}, domain{};
  std::vector<OperatorSet> opsets{};
  std::map<std::string, std::string> metadata{};  // metadata_props
  Graph graph{};
  std::vector<Function> functions{};
  std::vector<std::string> notes{};
  // Initializers that training changes, where the origin says which (ONNX does not); none: told by
  // their use.
  std::vector<std::string> parameters{};
};

// Reads a whole .onnx file. Tensors stored as external data are read from regular files below the
// model's own folder (no "..", no links). bad_input, naming the path and the node or tensor, for
// damaged files, sparse tensors and element types graft does not have. Unknown fields are skipped.
GRAFT_API Model read_model(const std::string& path, const ReadLimits& limits = {});
// The same from bytes; external data is refused. `name` stands for the path in messages.
GRAFT_API Model parse_model(std::span<const std::byte> bytes, const std::string& name,
                            const ReadLimits& limits = {});
// Writes a model, old file or new, never half; tensors inside the file, in the types that graft
// holds them in. bad_input for 2 GiB or more (protobuf's limit), for local functions, and for
// attributes that are types.
GRAFT_API void write_model(const std::string& path, const Model& model);
// One TensorProto from a .pb file, as stored with ONNX's tests.
GRAFT_API NamedTensor read_tensor(const std::string& path, const ReadLimits& limits = {});
GRAFT_API NamedTensor parse_tensor(std::span<const std::byte> bytes, const std::string& name,
                                   const ReadLimits& limits = {});

}  // namespace graft::io::onnx
