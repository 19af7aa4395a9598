#include "graft/models/segmentation/segmentation.h"

#include <algorithm>

#include "graft/layers/modules/default_values.h"
#include "graft/models/folded_norms.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/initialization.h"
#include "graft/models/segmentation/decoder.h"
#include "graft/models/segmentation/segmentation_network.h"

namespace graft::models {
namespace {

constexpr std::string_view kDecoderPrefix = "decoder.";

// The graph up to the last map that can be tapped, with its tensors' values.
GraphConfig tapped_graph(const GraphConfig& graph, const StateDict& tensors) {
  GraphConfig config = graph;
  const GraphSource whole = with_values(*graph.source, tensors);
  GraphModule module(whole);
  const EncoderMaps maps = maps_of(module, graph.in_channels);
  GRAFT_CHECK(!maps.taps.empty(), graph.name,
              " has no maps at strides 2 to 32 that a decoder could tap: ", maps.end);
  config.source =
      std::make_shared<GraphSource>(cut_graph(whole, module.stage_value(maps.taps.back().stage)));
  config.features = maps.taps.back().channels;
  config.classifier_input.clear();
  config.own_head = config.pooled = false;
  return config;
}

// The network in front of the model's head. Of a graph with the values of its tensors.
EncoderArchitecture encoder_in_front_of_head(const Model& model) {
  const StateDict tensors = model.network->state_dict();
  const Architecture& architecture = model.card.architecture;
  const auto* segmentation = std::get_if<SegmentationConfig>(&architecture);
  EncoderArchitecture encoder = encoder_architecture(with_values(
      segmentation ? whole_architecture(segmentation->encoder) : architecture, tensors));
  if (auto* features = std::get_if<FeatureConfig>(&encoder))
    features->linear_head = true;  // no layers of the classifier
  if (auto* graph = std::get_if<GraphConfig>(&encoder); graph && !segmentation)
    encoder = tapped_graph(*graph, tensors);
  std::visit([](auto& config) { config.classes = 0; }, encoder);
  return encoder;
}

// The encoder's tensors from the model; the decoder's too where it is the same, but for its last
// convolution. The others stay as they are.
void take_tensors(const Model& from, bool same_decoder, SegmentationNetwork& network) {
  const StateDict has = from.network->state_dict();
  const std::string last = str(kDecoderPrefix, network.decoder().last_path(), ".");
  StateDict state;
  for (const auto& [name, tensor] : network.state_dict()) {
    const bool of_decoder = name.starts_with(kDecoderPrefix);
    const bool kept = !of_decoder || (same_decoder && !name.starts_with(last));
    const Tensor own = kept ? has.find(name) : Tensor();
    state.add(name, own.defined() && own.shape() == tensor.shape() ? own : tensor);
  }
  if (holds_graph(network.config()))
    network.load_state_dict(state);
  else
    network.take_state_dict(state);
}

void put_network(Model& model, std::shared_ptr<StagedNetwork> network, Architecture architecture) {
  std::erase_if(model.card.neutral_norms,
                [&](const std::string& path) { return network->find(path) == nullptr; });
  mark_neutral(*network, model.card.neutral_norms);
  network->train(false);
  model.network = std::move(network);
  model.card.architecture = std::move(architecture);
  model.card.labels.clear();
  model.card.task.clear();
  model.card.activation = Activation::softmax;
  model.card.int8 = {};
}

}  // namespace

void give_segmentation_head(Model& model, const SegmentationHead& head) {
  const DecoderKind& kind = decoder_kind(head.decoder);
  GRAFT_CHECK(head.classes >= 1, "a decoder gives at least one map, got ", head.classes);
  GRAFT_CHECK(head.bias.empty() || std::ssize(head.bias) == head.classes, "a decoder of ",
              head.classes, " maps with biases for ", head.bias.size());
  const io::Preprocess& images = model.card.preprocess;
  SegmentationConfig config{
      .encoder = encoder_in_front_of_head(model),
      .decoder = head.decoder,
      .classes = head.classes,
      .height = head.height > 0 ? head.height : images.size,
      .width = head.width > 0 ? head.width : images.input_width(),
      .output_stride = head.output_stride > 0 ? head.output_stride : kind.output_stride};
  const auto* former = std::get_if<SegmentationConfig>(&model.card.architecture);
  const bool same_decoder =
      former && former->decoder == head.decoder &&
      (head.output_stride == 0 || head.output_stride == former->output_stride);
  if (same_decoder) {
    config.widths = former->widths;
    config.output_stride = former->output_stride;
  }
  std::shared_ptr<SegmentationNetwork> network;
  {
    const ScopedUnsetValues unset;
    network = std::make_shared<SegmentationNetwork>(config);
  }
  initialize_at(*network, "decoder", head.seed);
  network->decoder().start(head.bias, head.seed);
  take_tensors(model, same_decoder, *network);
  put_network(model, network, network->config());
}

void remove_segmentation_head(Model& model) {
  const auto* config = std::get_if<SegmentationConfig>(&model.card.architecture);
  if (!config) return;
  StateDict state;
  for (const auto& [name, tensor] : model.network->state_dict())
    if (!name.starts_with(kDecoderPrefix)) state.add(name, tensor);
  Architecture encoder = whole_architecture(config->encoder);
  if (auto* graph = std::get_if<GraphConfig>(&encoder)) graph->pooled = true;
  std::shared_ptr<StagedNetwork> network;
  {
    const ScopedUnsetValues unset;
    network = make_network(with_values(encoder, state));
  }
  if (holds_graph(encoder))
    network->load_state_dict(state);
  else
    network->take_state_dict(state);
  put_network(model, std::move(network), std::move(encoder));
}

}  // namespace graft::models
