#include "graft/models/text/word_graph.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graft/core/runtime/random.h"
#include "graft/io/onnx/attributes.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::ElementType;
using io::onnx::integer_attribute;
using io::onnx::integers_attribute;

constexpr const char* kWordNumbers = "words";
constexpr const char* kFixedVectors = "fixed.weight";

void check_word_network(const WordNetwork& n) {
  constexpr int64_t kMostWords = int64_t{1} << 24;
  const auto names = word_network_names();
  GRAFT_CHECK(std::find(names.begin(), names.end(), n.name) != names.end(), "a network of words '",
              n.name, "' is none of ", join(names));
  GRAFT_CHECK(n.vectors.defined() && n.vectors.rank() == 2 && n.vectors.dtype() == DType::f32 &&
                  n.vectors.size(0) >= 2 && n.vectors.size(0) <= kMostWords,
              "a network of words takes vectors f32 [words,D] of 2 to ", kMostWords, " words");
  GRAFT_CHECK(!n.fixed.defined() || n.fixed.shape() == n.vectors.shape(),
              "the two tables of a network of words differ in shape");
  GRAFT_CHECK(n.length >= 2 && n.length <= 8192, "texts of ", n.length,
              " words; 2 to 8192 are possible");
  GRAFT_CHECK(n.maps >= 1 && n.maps <= 4096, n.maps, " filters a window; 1 to 4096 are possible");
  GRAFT_CHECK(!n.windows.empty() && n.windows.size() <= 16, n.windows.size(),
              " windows of words; 1 to 16 are possible");
  for (const int64_t window : n.windows)
    GRAFT_CHECK(window >= 1 && window <= 64, "a filter over ", window,
                " words; 1 to 64 are possible");
  GRAFT_CHECK(n.dropout >= 0 && n.dropout < 1, "dropout ", n.dropout, " is not in [0, 1)");
}

class WordGraphWriter {
 public:
  explicit WordGraphWriter(const WordNetwork& network) : n_(network) {}

  GraphConfig write() {
    io::onnx::ValueInfo input;
    input.name = kWordNumbers;
    input.type = ElementType::float32;
    input.has_shape = true;
    for (const int64_t extent : {int64_t{-1}, int64_t{1}, int64_t{1}, n_.length})
      input.dims.push_back({extent, extent < 0 ? "N" : ""});
    model_.graph.inputs.push_back(input);
    model_.graph.name = n_.name;
    model_.opsets = {{"", 17}};
    const bool is_mean = n_.name == "word_mean";
    const std::string embedded = embed(is_mean);
    const std::string features = is_mean ? mean(embedded) : filters(embedded);
    const std::string end = add("Dropout", {features, real("ratio", n_.dropout)}, "dropout");
    io::onnx::ValueInfo output;
    output.name = end;
    output.type = ElementType::float32;
    model_.graph.outputs.push_back(output);

    GraphConfig config;
    config.name = n_.name;
    config.in_channels = 1;
    config.features = is_mean ? n_.vectors.size(1) : n_.maps * std::ssize(n_.windows);
    config.pooled = true;
    GraphSource source = read_graph(model_, {.as_network = true});
    for (GraphTensor& tensor : source.tensors)
      if (tensor.name == kFixedVectors) tensor.role = TensorRole::buffer;
    source.stage_ends = {embedded, features, end};
    config.source = std::make_shared<GraphSource>(std::move(source));
    return config;
  }

 private:
  // The node and its one value have one name.
  std::string add(const char* op, std::vector<std::string> inputs, const std::string& name,
                  std::vector<Attribute> attributes = {}) {
    io::onnx::Node node;
    node.name = name;
    node.op_type = op;
    node.inputs = std::move(inputs);
    node.outputs = {name};
    node.attributes = std::move(attributes);
    model_.graph.nodes.push_back(std::move(node));
    return name;
  }
  std::string tensor(const std::string& name, const Tensor& value) {
    io::onnx::NamedTensor stored;
    stored.name = name;
    stored.type = value.dtype() == DType::i64 ? ElementType::int64 : ElementType::float32;
    stored.dims.assign(value.shape().begin(), value.shape().end());
    stored.value = value;
    model_.graph.initializers.push_back(std::move(stored));
    return name;
  }
  std::string real(const std::string& name, double value) {
    return tensor("number." + name, Tensor::of({}, std::vector<float>{static_cast<float>(value)}));
  }
  std::string axis(int64_t number) {
    const std::string name = str("number.axis", number);
    if (!axes_[static_cast<size_t>(number)])
      tensor(name, Tensor::of({1}, std::vector<int64_t>{number}));
    axes_[static_cast<size_t>(number)] = true;
    return name;
  }

  // [N,1,L,D], zeros where there is no word.
  std::string embed(bool is_mean) {
    const std::string numbers =
        add("Flatten", {kWordNumbers}, "numbers", {integer_attribute("axis", 1)});
    const std::string places =
        add("Cast", {numbers}, "places",
            {integer_attribute("to", static_cast<int64_t>(ElementType::int64))});
    std::string vectors = add("Gather", {tensor("embedding.weight", n_.vectors), places}, "vectors",
                              {integer_attribute("axis", 0)});
    if (n_.fixed.defined()) {
      const std::string fixed = add("Gather", {tensor(kFixedVectors, n_.fixed), places}, "fixed",
                                    {integer_attribute("axis", 0)});
      vectors = add("Add", {vectors, fixed}, "both");
    }
    std::string counts = add("Clip", {numbers, real("low", 0), real("high", 1)}, "is_word");
    if (is_mean) counts = weights(counts);
    counts = add("Unsqueeze", {counts, axis(2)}, "counts");  // [N,L,1]
    const std::string counted = add("Mul", {vectors, counts}, "counted");
    return add("Unsqueeze", {counted, axis(1)}, "embedding");
  }

  // Whose sum over the places is 1; [N,L].
  std::string weights(const std::string& is_word) {
    const std::string sum =
        add("ReduceSum", {is_word, axis(1)}, "words_of_text", {integer_attribute("keepdims", 1)});
    const std::string least =
        add("Clip", {sum, real("one", 1), real("length", static_cast<double>(n_.length))},
            "at_least_one");
    return add("Div", {is_word, least}, "weights");
  }

  std::string mean(const std::string& embedded) {
    const std::string sum = add("ReduceSum", {embedded, axis(2)}, "sum",
                                {integer_attribute("keepdims", 0)});  // [N,1,D]
    return add("Flatten", {sum}, "features", {integer_attribute("axis", 1)});
  }

  std::string filters(const std::string& embedded) {
    std::vector<std::string> largest;
    for (size_t i = 0; i < n_.windows.size(); ++i) {
      const int64_t window = n_.windows[i], width = n_.vectors.size(1);
      const std::string name = str("filters.", i);
      const double bound = 1 / std::sqrt(static_cast<double>(window * width));
      Tensor weight = Tensor::zeros({n_.maps, 1, window, width}), bias = Tensor::zeros({n_.maps});
      CountedRandom random(n_.seed, RandomPurpose::initialization, 1, i);
      fill_uniform(weight, -bound, bound, random);
      fill_uniform(bias, -bound, bound, random);
      const std::string found = add(
          "Conv", {embedded, tensor(name + ".weight", weight), tensor(name + ".bias", bias)}, name,
          {integers_attribute("kernel_shape", {window, width}),
           integers_attribute("pads", {window - 1, 0, window - 1, 0})});
      const std::string positive = add("Relu", {found}, str("relu.", i));
      largest.push_back(add("GlobalMaxPool", {positive}, str("largest.", i)));
    }
    std::string all = largest[0];
    if (largest.size() > 1)
      all = add("Concat", largest, "all_largest", {integer_attribute("axis", 1)});
    return add("Flatten", {all}, "features", {integer_attribute("axis", 1)});
  }

  const WordNetwork& n_;
  io::onnx::Model model_;
  std::array<bool, 3> axes_{};
};

}  // namespace

std::vector<std::string> word_network_names() { return {"kim_cnn", "word_mean"}; }

GraphConfig word_graph(const WordNetwork& network) {
  check_word_network(network);
  return WordGraphWriter(network).write();
}

}  // namespace graft::models
