#include "graft/models/graph/graph_import.h"

#include <algorithm>

#include "graft/core/autograd/record.h"
#include "graft/core/base/checked_math.h"
#include "graft/models/check_limits.h"
#include "graft/models/folded_norms.h"
#include "graft/models/graph/classifier_search.h"
#include "graft/models/graph/graph_end.h"
#include "graft/models/graph/graph_layout.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/graph/graph_preprocess.h"
#include "graft/models/graph/graph_unfold.h"
#include "graft/models/graph/op_call.h"
#include "graft/models/initialization.h"
#include "graft/models/preprocess_guess.h"
#include "graft/models/segmentation/segmentation.h"

namespace graft::models {
namespace {

using io::onnx::Node;

constexpr int64_t kProbedImages = 2;

const GraphTensor* tensor_named(const GraphSource& source, const std::string& name) {
  for (const GraphTensor& tensor : source.tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

// The one image input of a graph: its channels, and its height and width where the graph fixes
// them.
struct ImageInput {
  int64_t channels = 0;
  std::array<int64_t, 2> sides{224, 224};
  bool integers = false;  // the file wants uint8
  bool one_open = false;  // the graph fixes one of the sides only
};

int64_t channels_of_first_layer(const GraphSource& source) {
  const std::string read = read_graph_preprocess(source, 3).end;
  for (const Node& node : source.nodes) {
    const GraphTensor* weight =
        node.op_type == "Conv" && node.inputs.size() > 1 && node.inputs[0] == read
            ? tensor_named(source, node.inputs[1])
            : nullptr;
    if (weight) return weight->shape.at(1);
  }
  return 0;
}

// Images as integers are taken as floating numbers of the same values. Whether they are such.
bool take_integers(GraphSource& source) {
  if (source.inputs.size() != 1 || source.inputs[0].dtype != DType::u8) return false;
  source.inputs[0].dtype = DType::f32;
  source.notes.push_back(str("the graph's input '", source.inputs[0].name,
                             "' is uint8; graft gives it the same numbers as float32"));
  return true;
}

ImageInput image_input(const GraphSource& source, bool integers) {
  GRAFT_CHECK(source.inputs.size() == 1, "the graph has ", source.inputs.size(),
              " inputs, expected one image (graft run runs any graph)");
  const GraphInput& input = source.inputs[0];
  ImageInput image{.integers = integers};
  GRAFT_CHECK(input.dtype == DType::f32, "the graph's input '", input.name, "' is ",
              name_of(input.dtype), ", expected float32 or uint8 images");
  GRAFT_CHECK(!input.has_shape || input.dims.size() == 4, "the graph's input '", input.name,
              "' has ", input.dims.size(), " axes, expected images [N,C,H,W]");
  if (input.has_shape) {
    image.channels = std::max<int64_t>(input.dims[1], 0);
    const int64_t height = input.dims[2], width = input.dims[3];
    if (std::max(height, width) > 0) {  // one that is open is taken to be as the other
      image.sides = {height > 0 ? height : width, width > 0 ? width : height};
      image.one_open = height <= 0 || width <= 0;
    }
  }
  if (image.channels == 0) image.channels = channels_of_first_layer(source);
  GRAFT_CHECK(image.channels == 1 || image.channels == 3, "the graph takes ", image.channels,
              " channels; images have 1 or 3");
  return image;
}

// The output to use becomes the graph's only one.
void choose_output(GraphSource& source, const std::string& wanted, Certificate& certificate) {
  std::string output = source.outputs[0];
  if (!wanted.empty()) {
    GRAFT_CHECK(
        std::find(source.outputs.begin(), source.outputs.end(), wanted) != source.outputs.end(),
        "the graph has no output '", wanted, "'; its outputs are ", join(source.outputs));
    output = wanted;
  }
  if (source.outputs.size() > 1 && wanted.empty())
    certificate.doubts.push_back(str("the graph has ", source.outputs.size(),
                                     " outputs: ", join(source.outputs),
                                     "; the first is used, --output NAME "
                                     "chooses"));
  if (source.outputs.size() > 1 && !wanted.empty())
    source.notes.push_back(
        str("of the outputs ", join(source.outputs), " '", wanted, "' is used, as asked for"));
  source = cut_graph(source, output);
}

// Runs the graph once and keeps those stage ends where a sample stays a row: [2,...] for two
// images. Their shapes come back.
std::vector<Shape> probe_stages(GraphSource& source, const ImageInput& image) {
  const NoGradGuard no_grad;
  GraphModule module(source);
  module.train(false);
  Tensor value = Tensor::zeros({kProbedImages, image.channels, image.sides[0], image.sides[1]},
                               {.format = MemoryFormat::channels_last});
  std::vector<std::string> ends;
  std::vector<Shape> shapes;
  for (size_t stage = 0; stage < module.stages().size(); ++stage) {
    value = module.forward_stages(value, stage, stage + 1);
    if (value.rank() < 2 || value.size(0) != kProbedImages || !is_floating(value.dtype())) continue;
    ends.push_back(module.stage_value(stage));
    shapes.push_back(value.shape());
  }
  GRAFT_CHECK(value.rank() >= 2 && value.size(0) == kProbedImages, "the graph gives ",
              value.shape(), " for ", kProbedImages,
              " images: its output does not belong to single images");
  source.stage_ends = std::move(ends);
  return shapes;
}

// The same within what an import may take.
std::vector<Shape> probe_within(const ImportOptions& options, GraphSource& source,
                                const ImageInput& image) {
  const CheckLimits limits(options);
  try {
    return probe_stages(source, image);
  } catch (const Error&) {
    if (!limits.was_reached()) throw;
    bad_input("the graph was not executed: with ", kProbedImages, " images of ", image.channels,
              "x", image.sides[0], "x", image.sides[1], " it ", limits.reached(),
              "; graft run runs any graph, within --max-memory");
  }
}

double raw_pixel_variance(const GraphSource& source) {
  for (const Node& conv : source.nodes) {
    if (conv.op_type != "Conv" || conv.inputs.size() < 2 || conv.inputs[0] != source.inputs[0].name)
      continue;
    for (const Node& norm : source.nodes)
      if (norm.op_type == "BatchNormalization" && norm.inputs.size() == 5 &&
          norm.inputs[0] == conv.outputs.at(0)) {
        const GraphTensor *weight = tensor_named(source, conv.inputs[1]),
                          *variance = tensor_named(source, norm.inputs[4]);
        return weight && variance ? input_variance(weight->value, variance->value) : 0;
      }
  }
  return 0;
}

std::vector<std::string> titles(const std::vector<const Node*>& nodes) {
  std::vector<std::string> names;
  for (const Node* node : nodes) names.push_back(graph::title_of(*node));
  return names;
}

// The value that --cut names: that of a node, or the value itself.
std::string cut_value(const GraphSource& source, const std::string& cut) {
  for (const Node& node : source.nodes) {
    if (node.name != cut &&
        std::find(node.outputs.begin(), node.outputs.end(), cut) == node.outputs.end())
      continue;
    for (const std::string& output : node.outputs)
      if (std::find(source.stage_ends.begin(), source.stage_ends.end(), output) !=
          source.stage_ends.end())
        return output;
    bad_input("cannot cut after ", graph::title_of(node),
              ": other data passes beside it; the nodes through which all flows end in ",
              join(source.stage_ends));
  }
  bad_input("cannot cut at '", cut,
            "': the graph has no such node or value; it can be cut after the values ",
            join(source.stage_ends));
}

// Decides where the network ends; whether one output became two classes. Shapes are those of
// source.stage_ends.
bool cut_source(GraphSource& source, const std::vector<Shape>& shapes, const std::string& cut,
                GraphConfig& config, Certificate& certificate) {
  const auto shape_at = [&](const std::string& value) {
    return shapes[static_cast<size_t>(
        std::find(source.stage_ends.begin(), source.stage_ends.end(), value) -
        source.stage_ends.begin())];
  };
  const Shape end = shapes.back();
  config.features = end[1];
  if (cut != "auto") {
    const std::string value = cut_value(source, cut);
    config.features = shape_at(value)[1];
    source = cut_graph(source, value);
    config.pooled = true;
    certificate.cut = str("behind '", value, "', as asked for");
    return false;
  }
  const bool spatial = end.rank() > 2 && end.product(2, end.rank()) > 1;
  const ClassifierSearch search = find_classifier(source);
  if (spatial || (!search.classifier && search.behind_norm)) {
    config.pooled = true;
    certificate.cut =
        spatial ? str("none: the graph ends in a map ", end, " for ", kProbedImages,
                      " images, a backbone")
                : str("none: the graph ends in ", end[1], " features behind a norm, a backbone");
    return false;
  }
  GRAFT_CHECK(!search.candidates.empty(),
              "the graph has no layer with weights to cut at; --cut NODE decides");
  GRAFT_CHECK(search.classifier,
              "it cannot be told where the graph's classifier begins: candidates are ",
              join(titles(search.candidates)), "; --cut NODE decides");
  const std::string& value = search.classifier->inputs.at(0);
  GRAFT_CHECK(std::find(source.stage_ends.begin(), source.stage_ends.end(), value) !=
                  source.stage_ends.end(),
              "the graph's classifier ", graph::title_of(*search.classifier), " reads the value '",
              value, "', beside which other data passes; --cut NODE decides");
  config.classifier_input = value;
  config.classes = end[1];
  config.features = shape_at(value)[1];

  std::erase_if(source.stage_ends, [&, behind = false](const std::string& name) mutable {
    const bool drop = behind && name != source.outputs[0];
    behind = behind || name == value;
    return drop;
  });
  certificate.cut = str("none; the classifier is ", graph::title_of(*search.classifier));
  if (end[1] != 1) return false;
  put_two_classes(source);
  config.classes = 2;
  return true;
}

// What the graph's own nodes say of its images, else the usual guess.
io::Preprocess preprocess_of(const GraphSource& source, const ImageInput& image,
                             Certificate& certificate) {
  const GraphPreprocess own = read_graph_preprocess(source, image.channels);
  std::optional<io::Preprocess> known;
  if (image.integers || !own.nodes.empty())
    known = enter_graph(own, image.integers, image.sides, certificate.preprocess);
  if (known) return *known;
  if (!own.nodes.empty())
    certificate.doubts.push_back(
        str("the graph begins with ", join(own.nodes),
            ", by which neither pixels of 0 to 255 nor of "
            "0 to 1 become numbers of the usual size; what it takes is guessed: --scale, --mean, "
            "--std and --channel-order say it"));
  const io::Preprocess p =
      guess_imagenet_preprocess(raw_pixel_variance(source), certificate.preprocess, image.sides);
  return image.channels == 1 ? grey_preprocess(p) : p;
}

// What the classifier's values mean.
void read_head(bool one_output, bool activated, const GraphConfig& config, ModelCard& card,
               Certificate& certificate) {
  if (one_output)
    certificate.notes.push_back(
        str("the graph's one output is read as two classes, the second's probability being its "
            "sigmoid",
            activated ? "" : " (guessed: no activation stands in the graph)"));
  if (one_output || config.classes == 0) card.activation = Activation::softmax;
  if (card.activation == Activation::sigmoid) certificate.notes.push_back(kSigmoidNote);
}

void note_batch(const GraphSource& source, Certificate& certificate) {
  const GraphInput& input = source.inputs[0];
  if (input.has_shape && input.dims[0] > 0)
    certificate.notes.push_back(
        str("the graph declares batches of ", input.dims[0], "; graft runs any size"));
}

Finding eps_of_norms(const GraphSource& source) {
  std::vector<std::string> seen;
  const graph::RunMode mode;
  for (const Node& node : source.nodes) {
    if (node.op_type != "BatchNormalization") continue;
    const std::string eps = str(graph::OpCall(node, 1, {}, mode).real("epsilon", 1e-5));
    if (std::find(seen.begin(), seen.end(), eps) == seen.end()) seen.push_back(eps);
  }
  return seen.empty() ? Finding{} : Finding{join(seen), true, "the graph's nodes"};
}

}  // namespace

Imported import_graph(const io::onnx::Model& model, const ImportOptions& options,
                      FoldedNorms folded) {
  GRAFT_CHECK(options.channels == ChannelRule::repeat,
              "--channels sum-conv1 needs a native network: name it with --arch");
  GRAFT_CHECK(options.prefix.empty(),
              "--prefix is for files of named tensors; of a graph --output "
              "names the output to use");
  GraphSource source = read_graph(model, {.as_network = true});
  Imported imported;
  Certificate& certificate = imported.certificate;
  choose_output(source, options.output, certificate);
  const bool integers = take_integers(source);
  take_channels_first(source);
  const ImageInput image = image_input(source, integers);
  certificate.naming = str("graph of ", model.graph.nodes.size(), " nodes, run as it is");
  ModelCard& card = imported.model.card;
  bool activated = false;
  card.activation = drop_final_activation(source, activated);
  GraphConfig config;
  config.in_channels = image.channels;
  certificate.eps = eps_of_norms(source);
  Unfolded unfolded;
  if (folded == FoldedNorms::possible) unfolded = unfold_graph_norms(source, config.eps);
  const std::vector<Shape> shapes = probe_within(options, source, image);
  const bool one_output = cut_source(source, shapes, options.cut, config, certificate);
  for (const GraphTensor& tensor : source.tensors)
    certificate.matched += tensor.role != TensorRole::constant;
  certificate.notes = source.notes;
  note_batch(source, certificate);
  card.preprocess = preprocess_of(source, image, certificate);
  card.preprocess.validate();
  if (image.one_open)
    certificate.doubts.push_back(str("the graph fixes one side of its images, ", image.sides[0],
                                     ", and leaves the other open: it is taken to be the same; "
                                     "--image-size HxW says it"));
  read_head(one_output, activated, config, card, certificate);
  config.source = std::make_shared<GraphSource>(source);
  imported.model.network = std::make_shared<GraphModule>(config);
  std::erase_if(unfolded.norms, [&](const std::string& norm) {
    return imported.model.network->find(norm) == nullptr;
  });  // behind the cut
  certificate.neutral_norms = std::ssize(unfolded.norms);
  certificate.biases = unfolded.norms.empty() && !unfolded.reason.empty()
                           ? "the convolutions' biases are taken for their own: " + unfolded.reason
                           : unfolded.reason;
  certificate.matched -= 3 * certificate.neutral_norms;
  card.neutral_norms = std::move(unfolded.norms);
  mark_neutral(*imported.model.network, card.neutral_norms);
  imported.model.network->train(false);
  config.source = std::make_shared<GraphSource>(without_values(source));
  card.architecture = config;
  return imported;
}

namespace {

// The graph up to its classifier, with the network's present values.
void cut_classifier(Model& model, GraphConfig& config) {
  GraphSource source = with_values(*config.source, model.network->state_dict());
  if (!config.classifier_input.empty()) source = cut_graph(source, config.classifier_input);
  config.classifier_input.clear();
  config.classes = 0;
  config.own_head = false;
  config.pooled = true;
  config.source = std::make_shared<GraphSource>(std::move(source));
}

void rebuild(Model& model, GraphConfig config) {
  model.network = std::make_shared<GraphModule>(config);
  model.network->train(false);
  config.source = std::make_shared<GraphSource>(without_values(*config.source));
  model.card.architecture = std::move(config);
}

}  // namespace

void replace_head(Model& model, int64_t classes, uint64_t seed) {
  model.card.activation = Activation::softmax;
  model.card.task.clear();
  remove_segmentation_head(model);
  const auto* graph = std::get_if<GraphConfig>(&model.card.architecture);
  if (!graph) return replace_head(*model.network, model.card.architecture, classes, seed);
  GRAFT_CHECK(classes >= 1, "a head needs at least one class, got ", classes);
  GraphConfig config = *graph;
  cut_classifier(model, config);
  config.own_head = true;
  config.pooled = false;
  config.classes = classes;
  rebuild(model, std::move(config));
  initialize_at(*model.network, kGraphHead, seed);
  std::erase_if(model.card.neutral_norms,
                [&](const std::string& path) { return model.network->find(path) == nullptr; });
  mark_neutral(*model.network, model.card.neutral_norms);
}

void remove_classifier(Model& model) {
  remove_segmentation_head(model);
  const auto* graph = std::get_if<GraphConfig>(&model.card.architecture);
  if (!graph || graph->classes == 0) return;
  GraphConfig config = *graph;
  cut_classifier(model, config);
  rebuild(model, std::move(config));
}

}  // namespace graft::models
