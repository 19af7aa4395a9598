// ModelCard: everything about a trained model that is not a tensor. JSON in the model file's
// metadata; no code, and no clock times, paths or host names, so that the same run writes the same
// bytes.
#pragma once
#include <string>
#include <vector>

#include "graft/io/preprocess.h"
#include "graft/layers/plan/calibration.h"
#include "graft/models/architecture.h"
#include "graft/models/description.h"

namespace graft::models {

// Where a model came from.
struct Lineage {
  std::string source_sha256{};  // of the weight file; "": random weights
  std::string source_format{};  // "npz" ...
  std::string source_naming{};  // "torchvision names" ...
  std::string data_sha256{};    // manifest of the data set; "": not trained here
  std::string recipe{};         // train::Recipe as JSON; "": not trained here
  std::string graft_version{};
};

// What the network's last values become: one class of several, or each on its own.
enum class Activation : unsigned char { softmax, sigmoid };
inline constexpr const char* kSigmoidNote =
    "each class has a sigmoid of its own: the probabilities do not sum to 1";

struct GRAFT_API ModelCard {
  Architecture architecture{};
  io::Preprocess preprocess{};
  bool preprocess_known = false;      // false: guessed at import
  std::vector<std::string> labels{};  // of the outputs; empty when the source named none
  // What the head is for, as train::TaskCard::json has it; "": one class of several.
  std::string task{};
  // Of the classifier's values, applied by who reads probabilities.
  Activation activation = Activation::softmax;
  // Batch norms that stand for a normalisation folded into the convolution's bias (weight 1, mean
  // 0, variance 1-eps): before one of them trains its statistics must be taken from images.
  std::vector<std::string> neutral_norms{};
  Lineage lineage{};
  Calibration int8{};         // what --precision int8 needs; empty: not calibrated
  Description description{};  // of who trained it; empty: nothing was said

  std::string to_json() const;  // keys sorted, "card_version" 1
  // bad_input when it is damaged, or of a newer version than this program knows.
  static ModelCard from_json(const std::string& json);
};

}  // namespace graft::models
