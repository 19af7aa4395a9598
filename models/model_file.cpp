#include "graft/models/model_file.h"

#include <algorithm>
#include <optional>

#include "graft/core/base/checked_math.h"
#include "graft/core/base/error.h"
#include "graft/core/tensor/allocation_limit.h"
#include "graft/layers/modules/default_values.h"
#include "graft/models/folded_norms.h"
#include "graft/models/onnx_export.h"
#include "graft/models/segmentation/segmentation_network.h"

namespace graft::models {
namespace {

// An .onnx file also holds what its nodes take as inputs beside the network's tensors. A graph that
// came out of such a file may have tensors of these names itself.
StateDict tensors_of(const io::WeightFile& file, const Architecture& architecture) {
  if (file.format != "onnx") return file.tensors;
  const auto* graph = std::get_if<GraphConfig>(&architecture);
  const auto is_own = [&](const std::string& name) {
    return graph && std::any_of(graph->source->tensors.begin(), graph->source->tensors.end(),
                                [&](const GraphTensor& tensor) { return tensor.name == name; });
  };
  StateDict kept;
  for (const auto& [name, tensor] : file.tensors)
    if (!name.starts_with(kOnnxConstantPrefix) || is_own(name)) kept.add(name, tensor);
  return kept;
}

// A card's word alone allocates nothing large: the network that it describes must be about as large
// as the tensors beside it.
std::shared_ptr<StagedNetwork> described_network(const Architecture& architecture,
                                                 const StateDict& tensors) {
  constexpr int64_t times = 8, plus = int64_t{16} << 20;  // tensors in the file may be of half
                                                          // precision, a network holds temporaries
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes = checked_add(bytes, tensor.bytes());
  const ScopedAllocationLimit limit(checked_add(checked_mul(times, bytes), plus));
  const ScopedUnsetValues unset;
  return make_network(architecture);
}

// Of a network of ours; null for any other.
std::optional<Architecture> architecture_of(const StagedNetwork& network) {
  if (const auto* resnet = dynamic_cast<const ResNet*>(&network)) return resnet->config();
  if (const auto* cifar = dynamic_cast<const CifarResNet*>(&network)) return cifar->config();
  if (const auto* features = dynamic_cast<const FeatureNetwork*>(&network))
    return features->config();
  if (const auto* segmentation = dynamic_cast<const SegmentationNetwork*>(&network))
    return segmentation->config();
  return std::nullopt;
}

// The network that load_model() will make for these tensors.
std::shared_ptr<StagedNetwork> network_of(const ModelCard& card, const StateDict& tensors) {
  // The values before the module: nothing is allocated for a card's word alone.
  const Architecture filled = with_values(card.architecture, tensors);
  if (!std::holds_alternative<GraphConfig>(filled)) return described_network(filled, tensors);
  const ScopedUnsetValues unset;
  return make_network(filled);
}

// Ours know what they are, and nothing has to be made when that is what the card says.
void check_fits_card(const StagedNetwork& network, const ModelCard& card) {
  const StateDict tensors = network.state_dict();
  const auto is = architecture_of(network);
  if (is && to_json(*is) == to_json(card.architecture)) {
    for (const std::string& path : card.neutral_norms)
      GRAFT_CHECK(tensors.contains(path + ".running_mean"), "there is no batch norm '", path, "'");
    return;
  }
  const auto check_is = [&](const Architecture& described, bool same) {
    GRAFT_CHECK(same, "the card describes ", describe(described), ", the network is ",
                describe(*is));
  };
  if (is)
    check_is(card.architecture, is->index() == card.architecture.index() &&
                                    name_of(*is) == name_of(card.architecture) &&
                                    classes_of(*is) == classes_of(card.architecture));
  const auto loaded = network_of(card, tensors);  // a configuration leaves some things open
  if (const auto described = architecture_of(*loaded); is && described)
    check_is(*described, to_json(*is) == to_json(*described));
  loaded->check_fits(tensors);
  mark_neutral(*loaded, card.neutral_norms);
}

}  // namespace

void check_saves(const StagedNetwork& network, const ModelCard& card) {
  try {
    check_fits_card(network, ModelCard::from_json(card.to_json()));
  } catch (const Error& error) {
    throw error.with_context("the model could not be loaded again");
  }
}

void save_model(const std::string& path, const StagedNetwork& network, const ModelCard& card) {
  try {
    check_saves(network, card);
  } catch (const Error& error) {
    throw error.with_context(path);
  }
  io::write_safetensors(path, network.state_dict(), {{"format", "pt"}, {kCardKey, card.to_json()}});
}

bool has_card(const io::WeightFile& file) {
  return (file.format == "safetensors" || file.format == "onnx") &&
         file.metadata.contains(kCardKey);
}

Model model_from(const io::WeightFile& file) {
  const auto card = file.metadata.find(kCardKey);
  GRAFT_CHECK(
      card != file.metadata.end(), file.path,
      ": is no model of graft (there is no card in it); graft finetune or graft convert make one");
  try {
    Model model{nullptr, ModelCard::from_json(card->second)};
    const StateDict tensors = tensors_of(file, model.card.architecture);
    model.network = network_of(model.card, tensors);
    if (holds_graph(model.card.architecture))
      model.network->load_state_dict(tensors);
    else
      model.network->take_state_dict(tensors);
    mark_neutral(*model.network, model.card.neutral_norms);
    model.network->train(false);
    return model;
  } catch (const Error& error) {
    throw error.with_context(file.path);
  }
}

Model load_model(const std::string& path) { return model_from(io::read_weights(path)); }

}  // namespace graft::models
