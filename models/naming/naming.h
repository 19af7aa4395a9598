// Naming schemes: the names and layouts that other frameworks give to the networks graft has,
// turned into torchvision's.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "graft/io/preprocess.h"
#include "graft/io/weights/weights.h"

namespace graft::models {

// What a scheme says of a network beside the tensors. `known`: read in the file, not concluded from
// the names.
template <class T>
struct Implied {
  T value{};
  bool known = false;
  std::string why{};
};

struct Renamed {
  StateDict
      tensors;  // torchvision's names, [K,C,R,S] and [out,in]; what has no such name keeps its own
  std::string scheme{};  // "Caffe names"
  std::optional<Implied<double>> eps{};
  std::optional<Implied<bool>> stride_in_3x3{};
  std::optional<Implied<std::array<int64_t, 2>>> pool_pads{};  // begin, end
  std::optional<Implied<io::Preprocess>> preprocess{};
  std::string preprocess_text{};
  std::string head_activation{};  // "softmax", "sigmoid"; "": not said
  int64_t image_size = 0,
          image_width = 0;    // of the images that the file is for; 0: not said
  std::string image_fit{};    // io::Preprocess::fit() of them; "": not said
  int64_t resize_to = 0;      // with "crop": before it; 0: to image_size
  bool same_padding = false;  // MobileNetV2: TensorFlow's padding where it strides, which is a
                              // network of its own name here
  std::vector<std::string> ignored{}, notes{};
};

// nullopt: the names are of no scheme here, torchvision's own perhaps. bad_input for a network that
// is known by its names and that graft does not have (ResNet v2 ...).
GRAFT_API std::optional<Renamed> rename_to_torchvision(const io::WeightFile& file);

// Whether the file's layers have the names of a Keras network that graft has.
GRAFT_API bool is_keras_family(const io::WeightFile& file);

}  // namespace graft::models
