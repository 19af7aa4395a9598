#include "graft/models/import.h"

#include "graft/core/base/checked_math.h"
#include "graft/core/base/sha256.h"
#include "graft/layers/modules/batch_norm2d.h"
#include "graft/layers/modules/default_values.h"
#include "graft/models/check_limits.h"
#include "graft/models/comparison.h"
#include "graft/models/described_graph.h"
#include "graft/models/doubts.h"
#include "graft/models/file_facts.h"
#include "graft/models/folded_norms.h"
#include "graft/models/graph/graph_end.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/graph/graph_module.h"
#include "graft/models/keras/keras_graph.h"
#include "graft/models/keras/keras_import.h"
#include "graft/models/naming/naming.h"
#include "graft/models/preprocess_guess.h"
#include "graft/models/source_network.h"
#include "graft/models/tensorflow/tensorflow_import.h"

namespace graft::models {
namespace {

// Which of layer1 .. layer4 of a ResNet are kept; the tensors of the others leave the source.
void cut_resnet(SourceNetwork& source, const std::string& cut, Certificate& certificate) {
  auto& config = std::get<ResNetConfig>(source.architecture);
  const int64_t found = config.stages;
  if (cut != "auto") {
    const int64_t wanted =
        cut.size() == 6 && cut.starts_with("layer") && cut[5] >= '1' && cut[5] <= '4' ? cut[5] - '0'
                                                                                      : 0;
    GRAFT_CHECK(wanted > 0, "cannot cut at '", cut, "': the stages of ", config.name,
                " are layer1, layer2, layer3, layer4");
    GRAFT_CHECK(wanted <= found, "cannot cut at '", cut, "': the file ends after layer", found);
    config.stages = wanted;
  }
  if (config.stages < found || (config.stages < 4 && config.classes > 0)) {
    StateDict kept;
    for (const auto& [name, tensor] : source.tensors) {
      const bool behind =
          name.starts_with("fc.") ||
          (name.starts_with("layer") && name.size() > 5 && name[5] - '0' > config.stages);
      if (behind)
        certificate.unused.push_back(name);
      else
        kept.add(name, tensor);
    }
    source.tensors = std::move(kept);
    config.classes = 0;
  }
  if (cut != "auto")
    certificate.cut = str("after layer", config.stages, ", as asked for");
  else if (found < 4)
    certificate.cut = str("after layer", found, ": the file ends there");
  else
    certificate.cut = "none: the whole network";
}

void cut_features(SourceNetwork& source, const std::string& cut, Certificate& certificate) {
  auto& config = std::get<FeatureConfig>(source.architecture);
  certificate.cut = "none: the whole network";
  if (cut == "auto") return;
  config.cut = cut;
  config.classes = 0;
  config.linear_head = true;
  FeatureNetwork network(config);
  StateDict kept;
  for (const auto& [name, tensor] : source.tensors) {
    bool inside = false;
    for (size_t stage = 0; stage < network.stages().size(); ++stage)
      for (const std::string& path : network.stage_paths(stage))
        inside = inside || name.starts_with(path + ".");
    if (inside)
      kept.add(name, tensor);
    else
      certificate.unused.push_back(name);
  }
  source.tensors = std::move(kept);
  certificate.cut = str("after ", cut, ", as asked for");
}

void cut_network(SourceNetwork& source, const std::string& cut, Certificate& certificate) {
  GRAFT_CHECK(cut == "auto" || !std::holds_alternative<SegmentationConfig>(source.architecture),
              "cannot cut at '", cut,
              "': a segmentation network is used whole; --prefix backbone takes its encoder alone");
  if (std::holds_alternative<FeatureConfig>(source.architecture))
    return cut_features(source, cut, certificate);
  if (std::holds_alternative<ResNetConfig>(source.architecture))
    return cut_resnet(source, cut, certificate);
  GRAFT_CHECK(cut == "auto", "cannot cut at '", cut, "': a CIFAR ResNet is used whole");
  certificate.cut = "none: the whole network";
}

// Grey networks by summing the first convolution over its input channels: the answer to three equal
// channels.
void sum_first_convolution(SourceNetwork& source, Certificate& certificate) {
  const std::string first = first_convolution(source.tensors);
  const Tensor weight = source.tensors.at(first).to(DType::f32);
  const int64_t K = weight.size(0), C = weight.size(1), area = weight.size(2) * weight.size(3);
  GRAFT_CHECK(C == 3, "sum-conv1: the first convolution takes ", C, " channels, not 3");
  Tensor sum = Tensor::zeros({K, 1, weight.size(2), weight.size(3)});
  const float* in = weight.data<float>();
  float* out = sum.mutable_data<float>();
  for (int64_t k = 0; k < K; ++k)
    for (int64_t i = 0; i < area; ++i) {
      double total = 0;
      for (int64_t c = 0; c < C; ++c) total += in[(k * C + c) * area + i];
      out[k * area + i] = static_cast<float>(total);
    }
  source.tensors.set(first, sum);
  set_in_channels(source.architecture, 1);
  certificate.notes.push_back(
      "the first convolution is summed over its 3 input channels: the network takes grey images, "
      "normalised by the mean of the channels' numbers");
}

// A head of one output z as one of two classes, the logits [0, z], whose softmax is z's sigmoid.
void read_one_output(SourceNetwork& source, Certificate& certificate) {
  if (classes_of(source.architecture) != 1 ||
      std::holds_alternative<SegmentationConfig>(source.architecture))
    return;
  const std::string head = head_path(source.architecture);
  for (const char* part : {".weight", ".bias"}) {
    const Tensor row = source.tensors.find(head + part);
    if (!row.defined()) continue;
    std::vector<double> values(static_cast<size_t>(row.numel()), 0);
    const std::vector<double> own = row.to_doubles();
    values.insert(values.end(), own.begin(), own.end());
    std::vector<int64_t> extents(row.shape().begin(), row.shape().end());
    extents[0] = 2;
    source.tensors.set(head + part, Tensor::of(Shape(extents), values).to(DType::f32));
  }
  std::visit([](auto& config) { config.classes = 2; }, source.architecture);
  certificate.notes.push_back(
      str("the network's one output is read as two classes, the second's probability being its "
          "sigmoid",
          source.head_activation == "sigmoid" ? "" : " (guessed: nothing says what it means)"));
  source.head_activation.clear();
}

void read_activation(const SourceNetwork& source, ModelCard& card, Certificate& certificate) {
  if (source.head_activation != "sigmoid" || classes_of(source.architecture) == 0) return;
  card.activation = Activation::sigmoid;
  certificate.notes.push_back(kSigmoidNote);
}

io::Preprocess guess_preprocess(const SourceNetwork& source, Finding& finding) {
  if (source.images) {
    finding = source.preprocess;
    return *source.images;
  }
  const auto* resnet = std::get_if<ResNetConfig>(&source.architecture);
  const bool small = resnet && resnet->small_stem;
  if (small || std::holds_alternative<CifarResNetConfig>(source.architecture)) {
    io::Preprocess p = io::imagenet_preprocess(32);
    p.resize_to = 0;
    finding = {"RGB / 255, ImageNet's mean and deviation, 32x32", false,
               small
                   ? "a stem of one 3x3 convolution is for small images; --image-size says another"
                   : "as the published CIFAR ResNets were trained"};
    return p;
  }
  return guess_imagenet_preprocess(
      input_variance(source.tensors.find("conv1.weight"), source.tensors.find("bn1.running_var")),
      finding);
}

Finding or_usual(const Finding& implied, const Finding& usual) {
  return implied.what.empty() ? usual : implied;
}

void describe_findings(const SourceNetwork& source, Certificate& certificate) {
  const auto* segmentation = std::get_if<SegmentationConfig>(&source.architecture);
  const auto* config = segmentation ? std::get_if<ResNetConfig>(&segmentation->encoder)
                                    : std::get_if<ResNetConfig>(&source.architecture);
  const std::string nodes = "the graph's nodes", usual = "torchvision's; a state dict does not say";
  if (!config) {
    const std::string name = name_of(source.architecture);
    if ((name.starts_with("vgg") && !name.ends_with("_bn")) || name.starts_with("squeezenet"))
      return;  // no batch norms
    certificate.eps = or_usual(source.eps, {str(eps_of(source.architecture)), false,
                                            "PyTorch's default; a state dict does not say"});
    return;
  }
  const bool eps_known = source.graph && certificate.neutral_norms == 0;
  certificate.eps = or_usual(source.eps, {str(config->eps), eps_known, eps_known ? nodes : usual});
  if (config->bottleneck)
    certificate.stride = or_usual(source.stride, {config->stride_in_3x3 ? kStrideV15 : kStrideV1,
                                                  source.graph, source.graph ? nodes : usual});
  certificate.stem_pool =
      or_usual(source.stem_pool, {pool_text(*config), source.graph, source.graph ? nodes : usual});
}

Imported import_model_file(const io::WeightFile& file, const ImportOptions& options) {
  Imported imported{model_from(file), {}};
  ModelCard& card = imported.model.card;
  const std::string name = name_of(card.architecture);
  GRAFT_CHECK(options.arch.empty() || options.arch == name, "the file holds ", name, ", not ",
              options.arch);
  Certificate& c = imported.certificate;
  c.naming = kGraftNaming;
  c.notes = file.notes;
  c.preprocess = {card.preprocess.to_json(), card.preprocess_known,
                  card.preprocess_known ? "the model's card" : "as when it was imported first"};
  c.eps = {str(eps_of(card.architecture)), true, "the model's card"};
  c.neutral_norms = std::ssize(card.neutral_norms);
  c.cut = "none: as the model is";
  GRAFT_CHECK(options.cut == "auto", "a model of graft is not cut again; use its source weights");
  GRAFT_CHECK(options.prefix.empty() && options.output.empty(),
              "a model of graft is one network: --prefix and --output are for other files");
  return imported;
}

// As one of graft's own networks.
Imported import_network(const io::WeightFile& file, const ImportOptions& options) {
  GRAFT_CHECK(options.output.empty(), "--output is for graphs, run as they are");
  SourceNetwork source = file.format == "onnx"
                             ? source_from_graph(io::onnx::read_model(file.path), options.arch)
                             : source_from_names(file, options.arch, options.prefix);
  Imported imported;
  Certificate& certificate = imported.certificate;
  certificate.naming = source.naming;
  certificate.ignored = source.ignored;
  certificate.notes = source.notes;
  certificate.unused = source.dropped;
  if (!source.dropped.empty())
    certificate.notes.push_back(
        str("the file's own head is left out, because graft does not run it: ", source.dropped[0],
            source.dropped.size() > 1 ? " ..." : ""));
  cut_network(source, options.cut, certificate);
  ModelCard& card = imported.model.card;
  card.preprocess = guess_preprocess(source, certificate.preprocess);
  read_one_output(source, certificate);
  read_activation(source, card, certificate);
  if (options.channels == ChannelRule::sum_conv1) sum_first_convolution(source, certificate);
  const int64_t channels = in_channels_of(source.architecture);
  GRAFT_CHECK(channels == 1 || channels == 3, "the network takes ", channels,
              " channels; images have 1 or 3");
  if (channels == 1) card.preprocess = grey_preprocess(card.preprocess);
  card.architecture = source.architecture;
  certificate.matched = static_cast<int64_t>(source.tensors.size());
  card.neutral_norms = unfold_norms(source.tensors, source.architecture);
  certificate.neutral_norms = std::ssize(card.neutral_norms);
  describe_findings(source, certificate);
  {
    const ScopedUnsetValues unset;
    imported.model.network = make_network(card.architecture);
  }
  imported.model.network->load_state_dict(source.tensors);
  mark_neutral(*imported.model.network, card.neutral_norms);
  imported.model.network->train(false);
  return imported;
}

// A Keras model that says how its layers are connected: one of graft's own networks where it is
// one, else the graph that it describes.
Imported import_described(const io::WeightFile& file, const ImportOptions& options) {
  std::string why;
  if (is_keras_family(file)) {
    try {
      Imported imported = import_network(file, options);
      if (options.examine) why = difference_from_graph(file, imported, options);
      if (why.empty()) return imported;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      why = error.what();
    }
  }
  try {
    Imported imported = import_keras_graph(file, options);
    if (!why.empty())
      imported.certificate.notes.push_back("it is none of graft's own networks: " + why);
    return imported;
  } catch (const Error& error) {
    if (why.empty() || error.code() != ErrorCode::bad_input) throw;
    bad_input(why, "; as a graph: ", error.what());
  }
}

Imported import_foreign(const io::WeightFile& file, const ImportOptions& options) {
  const bool by_itself = options.arch.empty() && options.prefix.empty();
  if (is_tensorflow(file) && options.arch.empty()) return import_tensorflow(file, options);
  if (is_graph_format(file.format) && options.arch.empty()) {
    Imported imported = import_graph(read_described_graph(file), options);
    if (file.format == "pt2")
      imported.certificate.naming =
          str("a program that torch ", file.metadata.at("producer_version"),
              " exported: ", imported.certificate.naming);
    return imported;
  }
  if (by_itself && keras::has_description(file)) return import_described(file, options);
  return import_network(file, options);
}

// The file's own nodes as a network, and the imported network up to the same value; both without
// pool and head of graft.
std::pair<Model, Model> source_and_network(const io::WeightFile& file, const Imported& imported,
                                           const ImportOptions& options) {
  const io::onnx::Model model = read_described_graph(file);
  const ModelCard& card = imported.model.card;
  const auto* graph = std::get_if<GraphConfig>(&card.architecture);
  if (has_card(file))
    return {{std::make_shared<GraphModule>(read_graph(model, {.as_network = true})), card},
            imported.model};
  if (!graph) {
    Model source = import_graph(model, limits_of(options)).model;
    source.card.preprocess = card.preprocess;
    return {source, imported.model};
  }
  // The file has no value for what graft puts behind its outputs.
  const GraphSource source = read_graph(model, {.as_network = true});
  std::string end = graph->source->outputs.at(0);
  if (graph->source->nodes.back().name == kTwoClasses) end = graph->source->nodes.back().inputs[0];
  return {{std::make_shared<GraphModule>(cut_graph(source, end)), card},
          {std::make_shared<GraphModule>(
               cut_graph(with_values(*graph->source, imported.model.network->state_dict()), end)),
           card}};
}

// Runs a check of the import within what it may take; one that needs more is left out and said.
// False: it was left out.
template <class Check>
bool run_within(const ImportOptions& options, const char* what, Certificate& certificate,
                Check&& check) {
  const CheckLimits limits(options);
  try {
    check();
    return true;
  } catch (const Error&) {
    if (!limits.was_reached()) throw;
    std::string& said = certificate.not_executed;
    said += str(said.empty() ? "" : "; ", what, ": it ", limits.reached());
    return false;
  }
}

// The same random images through the source graph and through the network that was made of it.
void compare_with_source(const io::WeightFile& file, Imported& imported,
                         const ImportOptions& options) {
  Certificate& c = imported.certificate;
  const bool is_graph = std::holds_alternative<GraphConfig>(imported.model.card.architecture);
  if (!is_graph_format(file.format) && !(is_graph && describes_graph(file) && !has_card(file)))
    return;
  if (!is_graph) {
    const bool same_end = c.unused.empty() &&
                          std::none_of(c.notes.begin(), c.notes.end(), [](const std::string& note) {
                            return note.find("left out") != std::string::npos;
                          });
    if (!same_end || in_channels_of(imported.model.card.architecture) != 3)
      return c.notes.push_back(str("the source graph was not run for comparison: the network ",
                                   same_end ? "takes other images" : "ends elsewhere"));
  }
  try {
    Comparison comparison;
    const bool run = run_within(options, "the comparison with the source graph", c, [&] {
      auto [source, network] = source_and_network(file, imported, options);
      comparison = compare_answers(source, network);
    });
    if (!run || !comparison.comparable) return;
    c.comparison = comparison.answer_text();
    if (!comparison.same_answers())
      c.doubts.push_back(
          str("the network does not compute what the source graph does: ", c.comparison));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::resource) throw;
    c.notes.push_back(str("the source graph was not run for comparison: ", error.what()));
  }
}

void look_for_doubts(Imported& imported, const ImportOptions& options) {
  const ModelCard& card = imported.model.card;
  StagedNetwork& network = *imported.model.network;
  const bool graph = std::holds_alternative<GraphConfig>(card.architecture);
  refuse_impossible_values(network.state_dict(), graph);
  StatisticsCheck statistics;
  try {
    run_within(options, "the check of the batch norms' statistics", imported.certificate,
               [&] { statistics = check_statistics(network, card.preprocess.zeros(1)); });
  } catch (const Error& error) {
    if (!graph || error.code() == ErrorCode::resource)
      throw;  // a graph may want another input than the card guesses; then there is nothing to
              // compare
  }
  if (statistics.pairs > 0) imported.certificate.statistics = statistics.to_text();
  for (std::string& doubt : doubts_of(network, card.neutral_norms, statistics))
    imported.certificate.doubts.push_back(std::move(doubt));
}

// By what the file brings, data beside an .onnx included: its size on disk may be of half
// precision.
void set_limits(ImportOptions& options, const io::WeightFile& file) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : file.tensors) bytes = checked_add(bytes, tensor.bytes());
  if (options.check_bytes == 0)
    options.check_bytes = std::max(kLeastCheckBytes, checked_mul(4, bytes));
  if (options.check_operations == 0)
    options.check_operations =
        std::max(kLeastCheckOperations, checked_mul(kCheckOperationsPerByte, bytes));
}

}  // namespace

Imported import_weights(const std::string& path, const ImportOptions& given) {
  if (!given.arch.empty()) architecture_named(given.arch);
  const io::WeightFile file = io::read_weights(path);
  GRAFT_CHECK(!file.metadata.contains("graft.checkpoint"), path,
              ": is the checkpoint of a run, from which finetune goes on with --resume; the run's "
              "model is model.safetensors beside it");
  ImportOptions options = given;
  set_limits(options, file);
  try {
    Imported imported =
        has_card(file) ? import_model_file(file, options) : import_foreign(file, options);
    Certificate& certificate = imported.certificate;
    if (!has_card(file)) {
      use_file_facts(file, imported);
      imported.model.card.preprocess_known = certificate.preprocess.known;
    }
    certificate.path = file.path;
    certificate.format = file.format;
    if (has_card(file) && !options.examine) {
      refuse_impossible_values(
          imported.model.network->state_dict(),
          std::holds_alternative<GraphConfig>(imported.model.card.architecture));
      return imported;
    }
    look_for_doubts(imported, options);
    compare_with_source(file, imported, options);
    certificate.sha256 = sha256_of_source(file);
    certificate.architecture = describe(imported.model.card.architecture);
    if (has_card(file)) certificate.matched = static_cast<int64_t>(file.tensors.size());
    for (const NamedTensor& p : imported.model.network->parameters())
      certificate.parameters += p.tensor.numel();
    const int64_t classes = classes_of(imported.model.card.architecture);
    const auto* graph = std::get_if<GraphConfig>(&imported.model.card.architecture);
    if (graph && classes > 0 && !graph->own_head)
      certificate.head = str("the graph's own, ", classes, " classes");
    else
      certificate.head = classes > 0 ? str(head_path(imported.model.card.architecture), ", ",
                                           classes, " classes, from the file")
                                     : "none in the file";
    imported.model.card.lineage = {.source_sha256 = certificate.sha256,
                                   .source_format = file.format,
                                   .source_naming = certificate.naming,
                                   .data_sha256 = "",
                                   .recipe = "",
                                   .graft_version = GRAFT_VERSION};
    return imported;
  } catch (const Error& error) {
    const std::string message = error.what();
    throw message.starts_with(path) ? error : error.with_context(path);
  }
}

}  // namespace graft::models
