// What a Keras file says of its model: layers and what each is called with, as plain data; of Keras
// 2 and 3, functional and sequential, models within models. Nothing in it is executed.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graft/models/keras/settings.h"

namespace graft::models::keras {

// The result of a layer's call, or a number.
struct Argument {
  std::string layer{};  // "": a number
  int64_t call = 0, output = 0;
  double number = 0;
};

struct Call {
  std::vector<Argument> arguments{};
  bool training = false;  // called with training=True
  std::string refused{};  // what of the call graft has no place for; "": nothing
};

struct Network;

struct Layer {
  std::string kind{};    // "Conv2D"
  std::string module{};  // "keras.layers"; "": not said
  bool custom = false;   // of a class that is not Keras' own
  std::string name{};
  std::string key{};  // under which Keras 3 stores its variables: "layers/conv2d_1"
  LayerSettings settings{};
  std::vector<Call> calls{};                 // empty within a Sequential
  std::shared_ptr<const Network> network{};  // of a model within
};

struct Network {
  std::string name{};
  bool sequential = false;
  std::vector<Layer> layers{};
  std::vector<Argument> inputs{}, outputs{};  // of a functional one
  std::vector<int64_t> input_shape{};         // of a sequential one, where it says it
};

struct Description {
  Network network{};
  std::string kind{};     // "Functional"
  std::string version{};  // "3.15.1"; "": not said
  int generation = 3;     // Keras 2 or 3, by the version or the form
  int64_t layers = 0;     // those of models within too
};

// bad_input for what is no such description, or nests or counts beyond all use. `version`: as it
// stands beside it, or "".
Description read_description(const std::string& json, const std::string& version);

}  // namespace graft::models::keras
