// A trained model as one safetensors file: tensors under their plain names, the card in the
// metadata.
#pragma once
#include <memory>
#include <string>

#include "graft/io/weights/weights.h"
#include "graft/models/card.h"

namespace graft::models {

// The metadata entry that holds a model's card.
inline constexpr const char* kCardKey = "graft.card";

struct Model {
  std::shared_ptr<StagedNetwork> network{};  // in eval mode
  ModelCard card{};
};

// Error(bad_input) saying what differs when load_model() would refuse the file that save_model()
// writes of these: a training can ask before it starts.
GRAFT_API void check_saves(const StagedNetwork& network, const ModelCard& card);
// Checks that first. Writes network and card, old file or new, never half. The bytes depend on them
// alone.
GRAFT_API void save_model(const std::string& path, const StagedNetwork& network,
                          const ModelCard& card);

// True when a weight file carries a card of graft: a .safetensors, or an .onnx that graft wrote.
GRAFT_API bool has_card(const io::WeightFile& file);
// bad_input naming the path when the file has no card, or when card and tensors do not fit each
// other.
GRAFT_API Model load_model(const std::string& path);
GRAFT_API Model model_from(const io::WeightFile& file);

}  // namespace graft::models
