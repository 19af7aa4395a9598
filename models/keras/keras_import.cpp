#include "graft/models/keras/keras_import.h"

#include <algorithm>

#include "graft/core/base/error.h"
#include "graft/models/check_limits.h"
#include "graft/models/comparison.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/graph/graph_preprocess.h"
#include "graft/models/keras/keras_graph.h"
#include "graft/models/naming/keras_images.h"
#include "graft/models/preprocess_guess.h"

namespace graft::models {
namespace {

// keras.applications whose own preprocessing brings pixels to -1 .. 1, by layers that only they
// have.
const char* application_of(const keras::Network& network) {
  const std::pair<const char*, const char*> markers[] = {{"conv2_block1_preact_bn", "ResNet V2"},
                                                         {"block1_conv1_bn", "Xception"},
                                                         {"conv_dw_1", "MobileNet (V1)"},
                                                         {"expanded_conv_depthwise", "MobileNetV2"},
                                                         {"mixed_7a", "Inception-ResNet V2"},
                                                         {"mixed10", "Inception V3"},
                                                         {"normal_conv_1_0", "NASNet"}};
  for (const keras::Layer& layer : network.layers) {
    for (const auto& [marker, name] : markers)
      if (layer.name == marker) return name;
    if (layer.network)
      if (const char* name = application_of(*layer.network)) return name;
  }
  return nullptr;
}

// When no layer of the model says what its images are: what keras.applications' networks take, raw
// pixels where the first norm shows them, else pixels of 0 to 1.
void guess_keras_preprocess(const keras::Network& network, ModelCard& card,
                            Certificate& certificate) {
  io::Preprocess& p = card.preprocess;
  const bool raw = p.scale == 1;
  const char* application = application_of(network);
  p.bgr = false;
  p.scale = application ? 1 / 127.5 : raw ? 1 : 1.0 / 255;
  std::fill(p.mean.begin(), p.mean.end(), application ? 1 : 0);
  std::fill(p.deviation.begin(), p.deviation.end(), 1);
  certificate.preprocess = {
      text_of(p), false,
      application ? str("as keras.applications prepares images for ", application,
                        ", by the names of its layers")
      : raw       ? "the first norm's statistics are those of pixels of 0 to 255"
                  : "the usual one of Keras' own networks; no layer of the model says it"};
}

std::string naming_of(const keras::KerasGraph& graph) {
  const keras::Description& d = graph.description;
  return str("Keras ", d.version.empty() ? str(d.generation, " (by its form)") : d.version, ", a ",
             d.kind, " model of ", d.layers, " layers, run as the graph that its configuration ",
             "describes (", graph.model.graph.nodes.size(), " nodes)");
}

}  // namespace

Imported import_keras_graph(const io::WeightFile& file, const ImportOptions& options) {
  const keras::KerasGraph graph = keras::read_keras_graph(file);
  Imported imported = import_graph(graph.model, options, FoldedNorms::none);
  Certificate& certificate = imported.certificate;
  ModelCard& card = imported.model.card;
  certificate.naming = naming_of(graph);
  certificate.ignored = graph.beside;
  certificate.unused = graph.unused;
  certificate.notes.insert(certificate.notes.begin(), file.notes.begin(), file.notes.end());
  certificate.notes.insert(certificate.notes.end(), graph.findings.notes.begin(),
                           graph.findings.notes.end());
  if (!certificate.preprocess.known)
    guess_keras_preprocess(graph.description.network, card, certificate);
  const auto& steps = graph.findings.image_steps;
  if (!steps.empty()) {
    apply_geometry(graph.findings.images, card.preprocess);
    card.preprocess.validate();
    certificate.preprocess.what = text_of(card.preprocess);
    certificate.notes.push_back(str("images are resized as the model's own ", join(steps),
                                    " says, ", graph.findings.images.image_fit,
                                    ", antialiased as graft does"));
  }
  return imported;
}

std::string difference_from_graph(const io::WeightFile& file, Imported& network,
                                  const ImportOptions& options) {
  Certificate& c = network.certificate;
  const auto left_out = [&](const std::string& why) {
    c.notes.push_back("the model's own graph was not run for comparison: " + why);
    return std::string();
  };
  if (!c.unused.empty()) return left_out("the network ends elsewhere");
  const CheckLimits limits(options);
  try {
    const keras::KerasGraph graph = keras::read_keras_graph(file);
    Model source = import_graph(graph.model, limits_of(options), FoldedNorms::none).model;
    const auto& config = std::get<GraphConfig>(source.card.architecture);
    if (!read_graph_preprocess(*config.source, config.in_channels).nodes.empty())
      return left_out("it prepares its images itself");
    source.card.preprocess = network.model.card.preprocess;
    const Comparison comparison = compare_answers(source, network.model);
    if (!comparison.comparable)
      return left_out(str("they answer differently shaped values, ", comparison.answer_shapes));
    c.comparison = comparison.answer_text();
    return comparison.same_answers()
               ? ""
               : str("the graph that the file describes computes something else (", c.comparison,
                     ")");
  } catch (const Error& error) {
    if (limits.was_reached()) {
      c.not_executed = "the comparison with the model's own graph: it " + limits.reached();
      return "";
    }
    if (error.code() != ErrorCode::bad_input) throw;
    return left_out(error.what());
  }
}

}  // namespace graft::models
