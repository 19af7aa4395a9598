// SourceNetwork: a weight file read as one of our networks, before it is checked: what the
// state-dict and the ONNX readers of the import hand over.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "graft/io/onnx/model.h"
#include "graft/io/preprocess.h"
#include "graft/io/weights/weights.h"
#include "graft/models/architecture.h"
#include "graft/models/certificate.h"

namespace graft::models {

struct SourceNetwork {
  Architecture architecture{};  // stages and classes as the file has them
  StateDict tensors{};  // torchvision's names; convolutions may have biases, batch norms may be
                        // absent (folded)
  std::string naming{};
  bool graph = false;  // attributes were read, not assumed
  // What a naming scheme implies, with its reason; empty: the usual guesses.
  Finding eps{}, stride{}, stem_pool{}, preprocess{};
  std::optional<io::Preprocess> images{};  // goes with `preprocess`
  std::string head_activation{};           // "softmax", "sigmoid"; "": not said
  std::vector<std::string> ignored{};
  std::vector<std::string> dropped{};  // a head that graft does not have
  std::vector<std::string> notes{};
};

// Names and shapes. `arch`: the user's word ("" none).
// `prefix`: likewise.
SourceNetwork source_from_names(const io::WeightFile& file, const std::string& arch,
                                const std::string& prefix = "");
// Nodes, followed from the input: every attribute is read and must be one that a ResNet has.
SourceNetwork source_from_graph(const io::onnx::Model& model, const std::string& arch);

inline constexpr const char* kStrideV15 = "v1.5: in the 3x3 convolution";
inline constexpr const char* kStrideV1 = "v1: in the first 1x1 convolution";
std::string pool_text(const ResNetConfig& config);  // "padded 1 at the start, 1 at the end"

// The name of the first convolution's weight, by which a network of ours is known; "" when there is
// none.
std::string first_convolution(const StateDict& tensors, const std::string& prefix = "");

// The ResNet of `found`'s kind with these blocks a stage; those after the last stage present are
// free. A kind that no row of the family's table has goes by the plain network of its depths.
// `arch` must agree when given.
ResNetConfig resnet_named(const ResNetConfig& found, const std::vector<int64_t>& depths,
                          const std::string& arch);

}  // namespace graft::models
