// FeatureFamily: all that graft knows of one family of `features` networks; a table in
// feature_network.cpp lists them.
#pragma once
#include <string>
#include <vector>

#include "graft/core/tensor/state_dict.h"
#include "graft/models/feature_builder.h"

namespace graft::models {

struct FeatureFamily {
  std::vector<std::string> names{};
  void (*build)(FeatureBuilder& build) = nullptr;
  const char* head = "";   // the path of its own head
  const char* first = "";  // the first convolution's weight
  // Which of its networks has these tensors' names; "" for none. bad_input for names that begin
  // like one and end as none.
  std::string (*name_of)(const StateDict& tensors) = nullptr;
  // Layers of its classifier before the head.
  std::vector<std::string> hidden{};
  // The path of the batch norm behind the convolution at `conv` of the network named; "" for none.
  std::string (*norm_behind)(const std::string& name, const std::string& conv) = nullptr;
  double eps = 1e-5;          // of the batch norms
  bool biased_norms = false;  // convolutions have a bias beside the batch norm behind them
};

const FeatureFamily& vgg_family();
const FeatureFamily& squeezenet_family();
const FeatureFamily& mobilenet_v2_family();
const FeatureFamily& mobilenet_v3_family();
const FeatureFamily& efficientnet_family();
const FeatureFamily& densenet_family();

// bad_input listing the names for an unknown one.
const FeatureFamily& feature_family(const std::string& name);

// The number at the start of a text, -1 for none.
int64_t leading_number(std::string_view text);
std::string no_norm_behind(const std::string& name, const std::string& conv);
// "features.3.0" -> "features.3.1": norms that are the next child of what holds the convolution.
std::string norm_beside(const std::string& name, const std::string& conv);

}  // namespace graft::models
