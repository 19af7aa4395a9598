// TensorFlow's SavedModels as plain data: a folder with saved_model.pb, whose graph and functions
// these are, and variables/. Field names follow TensorFlow's .proto files.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/core/tensor/state_dict.h"
#include "graft/core/tensor/tensor.h"
#include "graft/io/weights/limits.h"
#include "graft/io/weights/weights.h"

namespace graft::io::saved_model {

// AttrValue: what it holds, as far as graft has a use for it.
struct Attribute {
  std::vector<int64_t> integers{};  // one, or a list; of bool and type too
  double real = 0;
  std::string text{};                // a text, or the name of a function
  std::vector<std::string> texts{};  // of a list, or of a tensor of texts
  Tensor tensor{};
};

struct GRAFT_API Node {
  std::string name{}, op{};
  std::vector<std::string> inputs{};  // "node", "node:1", "^node"; in functions "node:output:1"
  std::map<std::string, Attribute, std::less<>> attributes{};
  const Attribute* find(std::string_view attribute) const;
};

struct Function {
  std::string name{};
  std::vector<std::string> inputs{}, outputs{};   // arguments by name
  std::map<std::string, std::string> returned{};  // output -> a value within
  std::vector<Node> nodes;  // no initializer: Function is written as an aggregate nowhere
};

struct Endpoint {
  std::string key{};     // as callers know it: "image"
  std::string tensor{};  // "serving_default_image:0"
  int64_t type = 0;      // DataType: 1 is float32, 4 uint8
  bool has_shape = false;
  std::vector<int64_t> dims{};  // -1: open
};

struct Model {
  std::string path{};
  std::string tensorflow_version{};
  std::string signature{};  // the one that is used: "serving_default"
  std::vector<Endpoint> inputs{}, outputs{};
  std::vector<Node> nodes{};
  std::map<std::string, Function> functions{};
  std::string restore_op{};
  StateDict variables{};  // by their keys in the checkpoint, in the types that graft holds
  std::vector<std::string> notes{};
};

// The model of `folder`; bad_input naming the file for damaged or hostile ones.
GRAFT_API Model read_model(const std::string& folder, const ReadLimits& limits = {});
// saved_model.pb alone: everything but the variables.
GRAFT_API Model parse_model(std::span<const std::byte> bytes, const std::string& name,
                            const ReadLimits& limits = {});

// Whether a folder is one.
GRAFT_API bool is_saved_model(const std::string& folder);
GRAFT_API WeightFile weights_of(const Model& model);

}  // namespace graft::io::saved_model
