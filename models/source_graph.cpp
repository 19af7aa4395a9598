// An ONNX graph read as a ResNet: the nodes are followed from the input, every attribute of
// convolutions, norms and pools is read, and whatever a ResNet does not have is refused with the
// node's name.
#include <charconv>
#include <map>

#include "graft/models/source_network.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::Node;

std::string title(const Node& node) {
  return str(node.op_type, " node '", node.name.empty() ? node.outputs.at(0) : node.name, "'");
}

template <class... Parts>
[[noreturn]] void refuse(const Node& node, const Parts&... parts) {
  bad_input(title(node), ": ", str(parts...));
}

std::vector<int64_t> ints(const Node& node, const char* name, std::vector<int64_t> otherwise) {
  const Attribute* attribute = node.find(name);
  return attribute ? attribute->ints : otherwise;
}
int64_t integer(const Node& node, const char* name, int64_t otherwise) {
  const Attribute* attribute = node.find(name);
  return attribute ? attribute->i : otherwise;
}

// The file holds a float; the number that the framework used is the shortest decimal it stands for:
// 1e-5.
double shortest_decimal(float value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double result = value;
  std::from_chars(text, written.ptr, result);
  return result;
}

using Pads = std::vector<int64_t>;

// A convolution and the norm behind it (null: folded), as found.
struct ConvNorm {
  const Node* conv = nullptr;
  const Node* norm = nullptr;
  std::string out{};  // the value after both
  int64_t kernel = 0, stride = 0, pad = 0;
  Tensor weight{};
};

class Reader {
 public:
  Reader(const io::onnx::Model& model, const std::string& arch) : model_(model), arch_(arch) {
    for (const auto& tensor : model.graph.initializers) constants_[tensor.name] = tensor.value;
    for (const Node& node : model.graph.nodes) {
      if (node.op_type == "Constant") {
        if (const Attribute* value = node.find("value"); value && !value->tensors.empty())
          constants_[node.outputs.at(0)] = value->tensors[0].value;
      } else if (node.op_type == "Identity") {  // PyTorch stores equal tensors once, with an
                                                // Identity for each of the others
        if (const auto same = constants_.find(node.inputs.at(0)); same != constants_.end())
          constants_[node.outputs.at(0)] = same->second;
      }
      for (const std::string& input : node.inputs) consumers_[input].push_back(&node);
    }
    for (const auto& output : model.graph.outputs) outputs_.push_back(output.name);
  }

  SourceNetwork operator()() {
    config_.classes = 0;
    std::string value = stem(input_name());
    std::vector<int64_t> depths;
    while (Block block = next_block(value)) {
      const bool new_stage = depths.empty() || block.stride == 2 || block.width != width_;
      if (new_stage) depths.push_back(0);
      GRAFT_CHECK(depths.size() <= 4, "the graph has more than four stages of residual blocks");
      take(block, str("layer", depths.size(), ".", depths.back()++, "."),
           depths.size() == 1 ? 1 : (new_stage ? 2 : 1));
      value = block.out;
    }
    GRAFT_CHECK(!depths.empty(),
                "the graph has no residual blocks: graft maps ONNX files of ResNets onto its own");
    const ResNetConfig named = resnet_named(config_, depths, arch_);
    config_.name = named.name;
    config_.depths = named.depths;
    config_.stages = std::ssize(depths);
    config_.eps = eps_ < 0 ? config_.eps : eps_;
    end(value);
    source_.architecture = config_;
    source_.graph = true;
    source_.naming =
        str("graph of ", model_.graph.nodes.size(), " nodes, mapped onto torchvision names");
    source_.notes = model_.notes;
    source_.notes.insert(source_.notes.end(), notes_.begin(), notes_.end());
    return std::move(source_);
  }

 private:
  // A residual block: its main path, its projection (conv null: none), and the value after Add and
  // Relu.
  struct Block {
    std::vector<ConvNorm> path;
    ConvNorm projection;
    std::string out;
    int64_t stride = 1, width = 0;
    explicit operator bool() const { return !path.empty(); }
  };

  std::string input_name() const {
    std::vector<std::string> inputs;
    for (const auto& input : model_.graph.inputs)
      if (!constants_.contains(input.name)) inputs.push_back(input.name);
    GRAFT_CHECK(inputs.size() == 1, "the graph has ", inputs.size(), " inputs, expected one image");
    return inputs[0];
  }

  // The consumers of a value, behind nodes that do nothing at inference.
  std::vector<const Node*> consumers(const std::string& value) const {
    std::vector<const Node*> found;
    const auto here = consumers_.find(value);
    if (here == consumers_.end()) return found;
    for (const Node* node : here->second) {
      if (node->op_type == "Identity" || node->op_type == "Dropout") {
        const auto behind = consumers(node->outputs.at(0));
        found.insert(found.end(), behind.begin(), behind.end());
      } else {
        found.push_back(node);
      }
    }
    return found;
  }
  const Node& only_consumer(const std::string& value) const {
    const auto found = consumers(value);
    GRAFT_CHECK(found.size() == 1, "the value '", value, "' goes to ", found.size(),
                " nodes where a ResNet has one");
    return *found[0];
  }

  Tensor constant(const Node& node, size_t input) const {
    const auto found =
        input < node.inputs.size() ? constants_.find(node.inputs[input]) : constants_.end();
    if (found == constants_.end() || !found->second.defined())
      refuse(node, "input ", input, " is not a stored tensor");
    return found->second;
  }

  // Pads as [begin H, begin W, end H, end W], auto_pad worked out for what it may mean without an
  // input size.
  Pads pads_of(const Node& node) const {
    const Attribute* automatic = node.find("auto_pad");
    if (automatic && automatic->s != "NOTSET" && automatic->s != "VALID")
      refuse(node, "auto_pad ", automatic->s, " is not one that a ResNet has");
    const Pads pads = ints(node, "pads", {0, 0, 0, 0});
    if (pads.size() != 4) refuse(node, "pads [", join(pads), "]");
    return pads;
  }
  void check_square(const Node& node, const char* name, const std::vector<int64_t>& values) const {
    for (const int64_t v : values)
      if (v != values[0]) refuse(node, name, " [", join(values), "] differ");
  }

  ConvNorm conv_norm(const Node& node) const {
    ConvNorm result{.conv = &node, .out = node.outputs.at(0)};
    result.weight = constant(node, 1);
    if (result.weight.rank() != 4)
      refuse(node, "weight ", result.weight.shape(), " is not of a 2-D convolution");
    result.kernel = result.weight.size(2);
    if (result.weight.size(3) != result.kernel) refuse(node, "kernel ", result.weight.shape());
    const auto kernel = ints(node, "kernel_shape", {result.kernel, result.kernel}),
               strides = ints(node, "strides", {1, 1}), dilations = ints(node, "dilations", {1, 1});
    const Pads pads = pads_of(node);
    check_square(node, "strides", strides);
    check_square(node, "pads", pads);
    if (kernel != std::vector<int64_t>{result.kernel, result.kernel})
      refuse(node, "kernel_shape [", join(kernel), "] is not its weight's");
    for (const int64_t d : dilations)
      if (d != 1) refuse(node, "dilation ", d, ": a ResNet has none");
    if (const int64_t groups = integer(node, "group", 1); groups != 1)
      refuse(node, groups, " groups: a ResNet has one");
    result.stride = strides.at(0);
    result.pad = pads[0];
    if (result.pad != (result.kernel - 1) / 2)
      refuse(node, "padding ", result.pad, " for a kernel of ", result.kernel);
    const auto behind = consumers(result.out);
    if (behind.size() == 1 && behind[0]->op_type == "BatchNormalization") {
      result.norm = behind[0];
      result.out = behind[0]->outputs.at(0);
    }
    return result;
  }

  // torchvision's names for one convolution and its norm.
  void take(const ConvNorm& found, const std::string& conv, const std::string& norm) {
    source_.tensors.add(conv + ".weight", found.weight);
    if (found.conv->inputs.size() > 2 && !found.conv->inputs[2].empty())
      source_.tensors.add(conv + ".bias", constant(*found.conv, 2));
    if (!found.norm) return;
    const char* parts[] = {".weight", ".bias", ".running_mean", ".running_var"};
    for (size_t i = 0; i < 4; ++i)
      source_.tensors.add(norm + parts[i], constant(*found.norm, i + 1));
    const Attribute* attribute = found.norm->find("epsilon");
    const double eps = attribute ? shortest_decimal(attribute->f) : 1e-5;
    if (eps_ >= 0 && eps != eps_)
      refuse(*found.norm, "epsilon ", eps, " where the others have ", eps_);
    eps_ = eps;
  }

  std::string stem(const std::string& input) {
    const Node& first = only_consumer(input);
    if (first.op_type != "Conv")
      refuse(first,
             "a ResNet begins with a convolution; preprocessing inside of the graph is not taken "
             "over");
    const ConvNorm conv = conv_norm(first);
    if (conv.kernel != 7 || conv.stride != 2)
      refuse(first, "a ", conv.kernel, "x", conv.kernel, " convolution of stride ", conv.stride,
             "; a ResNet begins with 7x7, stride 2");
    config_.in_channels = conv.weight.size(1);
    take(conv, "conv1", "bn1");
    const Node& relu = only_consumer(conv.out);
    if (relu.op_type != "Relu") refuse(relu, "expected the stem's Relu");
    const Node& pool = only_consumer(relu.outputs.at(0));
    if (pool.op_type != "MaxPool") refuse(pool, "expected the stem's MaxPool");
    read_stem_pool(pool);
    return pool.outputs.at(0);
  }

  void read_stem_pool(const Node& pool) {
    const Pads pads = pads_of(pool);
    if (ints(pool, "kernel_shape", {}) != Pads{3, 3} || ints(pool, "strides", {1, 1}) != Pads{2, 2})
      refuse(pool, "the stem's pool is 3x3 with stride 2");
    for (const int64_t d : ints(pool, "dilations", {1, 1}))
      if (d != 1) refuse(pool, "dilation ", d);
    if (pads[0] != pads[1] || pads[2] != pads[3] || pads[0] > 1 || pads[2] > 1)
      refuse(pool, "pads [", join(pads), "]");
    config_.pool_pad_begin = pads[0];
    config_.pool_pad_end = pads[2];
    // Ceil mode reaches one pixel further at the end when the size is even: the same as one pixel
    // of padding there.
    if (integer(pool, "ceil_mode", 0) != 0) {
      if (pads[0] != 0 || pads[2] != 0) refuse(pool, "ceil_mode with pads [", join(pads), "]");
      config_.pool_pad_end = 1;
      notes_.push_back(
          "the stem's pool rounds up; it is taken as one pixel of padding at the end, the same for "
          "even sizes");
    }
  }

  // Follows one branch of a block to its Add: convolutions with Relus between.
  std::vector<ConvNorm> follow(const Node* node, const Node*& add) const {
    std::vector<ConvNorm> path;
    for (;;) {
      if (node->op_type != "Conv") refuse(*node, "expected a convolution within a residual block");
      path.push_back(conv_norm(*node));
      const Node& next = only_consumer(path.back().out);
      if (next.op_type == "Add" || next.op_type == "Sum") {
        add = &next;
        return path;
      }
      if (next.op_type != "Relu") refuse(next, "expected Relu or Add within a residual block");
      if (path.size() == 3) refuse(next, "a residual block has at most three convolutions");
      node = &only_consumer(next.outputs.at(0));
    }
  }

  Block next_block(const std::string& value) const {
    const auto next = consumers(value);
    if (next.size() != 2) return {};
    Block block;
    const Node* ends[2] = {};
    bool direct = false;
    for (size_t i = 0; i < 2; ++i) {
      if (next[i]->op_type == "Add" || next[i]->op_type == "Sum") {
        ends[i] = next[i];
        direct = true;
        continue;
      }
      std::vector<ConvNorm> path = follow(next[i], ends[i]);
      if (path.size() == 1)
        block.projection = path[0];
      else
        block.path = std::move(path);
    }
    if (block.path.empty() || ends[0] != ends[1] || direct == (block.projection.conv != nullptr))
      refuse(*next[0], "is not the beginning of a residual block");
    const Node& relu = only_consumer(ends[0]->outputs.at(0));
    if (relu.op_type != "Relu") refuse(relu, "expected the Relu behind a residual sum");
    block.out = relu.outputs.at(0);
    block.width = block.path.back().weight.size(0);
    for (const ConvNorm& conv : block.path) block.stride *= conv.stride;
    return block;
  }

  void take(const Block& block, const std::string& prefix, int64_t stride) {
    const Node& first = *block.path[0].conv;
    const bool bottleneck = block.path.size() == 3;
    if (width_ == 0) config_.bottleneck = bottleneck;
    if (bottleneck != config_.bottleneck)
      refuse(first, "blocks of two and of three convolutions in one network");
    width_ = block.width;
    if (block.stride != stride)
      refuse(first, "a stride of ", block.stride, " where a ResNet has ", stride);
    const std::vector<int64_t> kernels =
        bottleneck ? std::vector<int64_t>{1, 3, 1} : std::vector<int64_t>{3, 3};
    for (size_t i = 0; i < kernels.size(); ++i) {
      const ConvNorm& conv = block.path[i];
      if (conv.kernel != kernels[i])
        refuse(*conv.conv, "a kernel of ", conv.kernel, ", expected ", kernels[i]);
      take(conv, prefix + "conv" + std::to_string(i + 1), prefix + "bn" + std::to_string(i + 1));
    }
    if (stride == 2) read_stride_place(block, bottleneck);
    if (!block.projection.conv) return;
    if (block.projection.kernel != 1 || block.projection.stride != stride)
      refuse(*block.projection.conv, "is not the projection of this block");
    take(block.projection, prefix + "downsample.0", prefix + "downsample.1");
  }

  void read_stride_place(const Block& block, bool bottleneck) {
    const size_t at = block.path[0].stride == 2 ? 0 : 1;
    if (block.path[at].stride != 2)
      refuse(*block.path.back().conv, "the stride stands at a place that no ResNet has");
    if (!bottleneck && at != 0)
      refuse(*block.path[at].conv, "a basic block strides in its first convolution");
    if (!bottleneck) return;
    const bool in_3x3 = at == 1;
    if (stride_seen_ && in_3x3 != config_.stride_in_3x3)
      refuse(*block.path[at].conv, "strides stand at different places in different stages");
    config_.stride_in_3x3 = in_3x3;
    stride_seen_ = true;
  }

  bool is_output(const std::string& value) const {
    return std::find(outputs_.begin(), outputs_.end(), value) != outputs_.end();
  }

  // Global average pool, flattening, classifier, softmax: as much of them as the file has.
  void end(std::string value) {
    while (!is_output(value)) {
      const auto next = consumers(value);
      if (next.size() != 1) {
        GRAFT_CHECK(next.empty(), "behind the residual blocks the value '", value, "' goes to ",
                    next.size(), " nodes");
        return;
      }
      const Node& node = *next[0];
      const std::string& op = node.op_type;
      const bool pools = op == "GlobalAveragePool" || op == "AveragePool" || op == "ReduceMean";
      const bool shapes = op == "Flatten" || op == "Reshape" || op == "Squeeze";
      if (op == "Gemm") {
        take_gemm(node);
      } else if (op == "MatMul") {
        source_.tensors.add("fc.weight", transposed(constant(node, 1), node));
      } else if (op == "Add" && source_.tensors.contains("fc.weight") &&
                 !source_.tensors.contains("fc.bias")) {
        source_.tensors.add("fc.bias",
                            constant(node, constants_.contains(node.inputs.at(0)) ? 0 : 1));
      } else if (op == "Softmax" || op == "LogSoftmax") {
        notes_.push_back(str("the graph's ", op, " is left out: the network gives logits"));
      } else if (!pools && !shapes) {
        refuse(node, "is not at the end of a ResNet");
      }
      if (op == "AveragePool")
        notes_.push_back("the graph's average pool is taken as a global one");
      value = node.outputs.at(0);
    }
    const Tensor weight = source_.tensors.find("fc.weight");
    if (!weight.defined()) return;
    config_.classes = weight.size(0);
    if (!source_.tensors.contains("fc.bias"))
      source_.tensors.add("fc.bias", Tensor::zeros({weight.size(0)}));
  }

  void take_gemm(const Node& node) {
    const auto real = [&](const char* name) {
      const Attribute* attribute = node.find(name);
      return attribute ? attribute->f : 1.0F;
    };
    if (real("alpha") != 1 || real("beta") != 1 || integer(node, "transA", 0) != 0)
      refuse(node, "alpha, beta or transA that a classifier does not have");
    const Tensor weight = constant(node, 1);
    source_.tensors.add("fc.weight",
                        integer(node, "transB", 0) != 0 ? weight : transposed(weight, node));
    if (node.inputs.size() > 2 && !node.inputs[2].empty())
      source_.tensors.add("fc.bias", constant(node, 2));
  }

  static Tensor transposed(const Tensor& weight, const Node& node) {
    if (weight.rank() != 2 || weight.dtype() != DType::f32)
      refuse(node, "weight ", weight.shape(), " is not a matrix of float32");
    const int64_t rows = weight.size(0), columns = weight.size(1);
    Tensor result = Tensor::empty({columns, rows});
    const float* in = weight.data<float>();
    float* out = result.mutable_data<float>();
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) out[c * rows + r] = in[r * columns + c];
    return result;
  }

  const io::onnx::Model& model_;
  const std::string& arch_;
  std::map<std::string, Tensor> constants_;
  std::map<std::string, std::vector<const Node*>> consumers_;
  std::vector<std::string> outputs_, notes_;
  ResNetConfig config_;
  SourceNetwork source_;
  int64_t width_ = 0;
  double eps_ = -1;
  bool stride_seen_ = false;
};

}  // namespace

SourceNetwork source_from_graph(const io::onnx::Model& model, const std::string& arch) {
  return Reader(model, arch)();
}

}  // namespace graft::models
