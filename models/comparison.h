// Comparison of two models: the same tensors, and the same answers to the same random image; where
// they first differ.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graft/models/model_file.h"

namespace graft::models {

struct TensorDifference {
  std::string name{};
  double largest = 0;   // |a - b|
  double relative = 0;  // largest / the largest |a|
};

struct GRAFT_API Comparison {
  // Tensors by name. Where the two name theirs differently nothing is in common, and the answers
  // decide.
  int64_t equal_tensors = 0;  // the same bits
  std::vector<TensorDifference>
      tensors{};  // those of one shape that differ, the largest relative difference first
  std::vector<std::string> only_in_a{}, only_in_b{}, other_shape{};
  // The answers, of shape [2,...], to normally distributed images drawn from a fixed seed.
  bool comparable = false;       // the two take the same images and answer in the same shape
  double answer = 0;             // largest |a - b| over the largest |a| of the answers
  std::string answer_shapes{};   // "[2,1000]", or both when they differ
  bool same_preprocess = false;  // what the cards say of pixels; it does not enter the answers
  // Layer by layer, when both run the same operations: the first whose result differs by more than
  // the tolerance, and the one that differs most. Named after the layer's weight, or the operation.
  bool same_operations = false;
  std::string first_layer{}, largest_layer{};
  double largest_layer_difference = 0;

  static constexpr double kTolerance = 1e-4;
  bool same_weights() const {
    return tensors.empty() && only_in_a.empty() && only_in_b.empty() && other_shape.empty();
  }
  bool same_answers() const { return comparable && answer <= kTolerance; }
  std::string answer_text() const;  // "[2,1000], largest difference 3.1e-07 relative"
  std::string to_text() const;
  std::string to_json() const;
};

GRAFT_API Comparison compare(Model& a, Model& b);
// The answers alone: nothing in between is kept.
GRAFT_API Comparison compare_answers(Model& a, Model& b);

}  // namespace graft::models
