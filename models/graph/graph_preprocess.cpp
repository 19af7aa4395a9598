#include "graft/models/graph/graph_preprocess.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graft/core/base/text.h"
#include "graft/models/graph/op_call.h"
#include "graft/models/preprocess_guess.h"

namespace graft::models {
namespace {

using io::onnx::Node;

const Tensor* constant_of(const GraphSource& source, const std::string& name) {
  for (const GraphTensor& tensor : source.tensors)
    if (tensor.name == name) return &tensor.value;
  return nullptr;
}

// Follows the input as long as one node alone reads it.
class Walk {
 public:
  Walk(const GraphSource& source, int64_t channels)
      : source_(source), channels_(static_cast<size_t>(channels)) {
    own_.end = source.inputs.at(0).name;
    own_.factor.assign(channels_, 1);
    own_.shift.assign(channels_, 0);
    for (size_t c = 0; c < channels_; ++c) input_channel_.push_back(c);
  }

  GraphPreprocess operator()() {
    while (const Node* node = only_reader()) {
      if (!follow(*node)) break;
      own_.end = node->outputs.at(0);
    }
    GraphPreprocess in_order = own_;
    for (size_t c = 0; c < channels_; ++c) {
      in_order.factor[input_channel_[c]] = own_.factor[c];
      in_order.shift[input_channel_[c]] = own_.shift[c];
    }
    return in_order;
  }

 private:
  const Node* only_reader() const {
    const Node* reader = nullptr;
    for (const Node& node : source_.nodes) {
      const auto reads = std::count(node.inputs.begin(), node.inputs.end(), own_.end);
      if (reads == 0) continue;
      if (reads > 1 || reader || node.outputs.size() != 1) return nullptr;
      reader = &node;
    }
    return reader;
  }

  bool follow(const Node& node) {
    if (!node.domain.empty()) return false;
    const std::string& op = node.op_type;
    if (op == "Identity" || op == "Cast") return true;
    if (op == "Transpose") return turn(node);
    if (op == "Gather" || op == "Slice") return reverse(node);
    if (op != "Sub" && op != "Add" && op != "Mul" && op != "Div") return false;
    if (node.inputs.size() != 2 || !calculate(node)) return false;
    own_.nodes.push_back(graph::title_of(node));
    return true;
  }

  bool turn(const Node& node) {
    const auto* perm = node.find("perm");
    if (!perm || perm->ints.size() != 4) return false;
    channel_axis_ =
        std::find(perm->ints.begin(), perm->ints.end(), channel_axis_) - perm->ints.begin();
    return channel_axis_ < 4;
  }

  bool reverse(const Node& node) {
    std::vector<std::vector<int64_t>> numbers;
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const Tensor* t = constant_of(source_, node.inputs[i]);
      if (!t || !t->defined() || is_floating(t->dtype()) || t->numel() > 4) return false;
      numbers.push_back(graph::integers_of(*t));
    }
    const auto is_channels = [&](int64_t axis) { return (axis + 4) % 4 == channel_axis_; };
    if (node.op_type == "Gather") {
      const auto* axis = node.find("axis");
      if (numbers.size() != 1 || numbers[0] != std::vector<int64_t>{2, 1, 0} ||
          !is_channels(axis ? axis->i : 0))
        return false;
    } else if (numbers.size() != 4 || numbers[2].size() != 1 || !is_channels(numbers[2][0]) ||
               numbers[3] != std::vector<int64_t>{-1} ||
               (numbers[0] != std::vector<int64_t>{-1} && numbers[0][0] < 2)) {
      return false;
    }
    std::reverse(own_.factor.begin(), own_.factor.end());
    std::reverse(own_.shift.begin(), own_.shift.end());
    std::reverse(input_channel_.begin(), input_channel_.end());
    own_.nodes.push_back(graph::title_of(node));
    return true;
  }

  // A number a channel: of a mean image its mean.
  std::vector<double> per_channel(const Tensor& t) const {
    const int64_t axis = channel_axis_ - (4 - t.rank());
    const int64_t extent = axis >= 0 ? t.shape()[static_cast<int>(axis)] : 1;
    if (t.rank() > 4 || (extent != 1 && extent != static_cast<int64_t>(channels_))) return {};
    const std::vector<double> values = t.to_doubles();
    const size_t inner =
        axis >= 0 ? static_cast<size_t>(t.shape().product(static_cast<int>(axis) + 1, t.rank()))
                  : 1;
    std::vector<double> sums(channels_, 0);
    const auto each = static_cast<double>(values.size()) / static_cast<double>(extent);
    for (size_t i = 0; i < values.size(); ++i)
      for (size_t c = 0; c < channels_; ++c)
        if (extent == 1 || i / inner % channels_ == c) sums[c] += values[i] / each;
    return sums;
  }

  bool calculate(const Node& node) {
    const bool first = node.inputs[0] == own_.end;
    const Tensor* t = constant_of(source_, node.inputs[first ? 1 : 0]);
    if (!t || !t->defined() || t->numel() == 0) return false;
    const std::vector<double> by = per_channel(*t);
    if (by.empty() || (node.op_type == "Div" && !first)) return false;
    for (size_t c = 0; c < channels_; ++c) {
      double &a = own_.factor[c], &b = own_.shift[c];
      if (node.op_type == "Add") b += by[c];
      if (node.op_type == "Sub" && first) b -= by[c];
      if (node.op_type == "Sub" && !first) a = -a, b = by[c] - b;
      if (node.op_type == "Mul") a *= by[c], b *= by[c];
      if (node.op_type == "Div") a /= by[c], b /= by[c];
    }
    return true;
  }

  const GraphSource& source_;
  size_t channels_;
  int64_t channel_axis_ = 1;
  std::vector<size_t> input_channel_;  // by channel of the present value
  GraphPreprocess own_;
};

// Whether pixels of 0 to `most` leave the nodes as networks take them: about -1 to 1, normalized,
// or raw less a mean.
bool is_usual(const GraphPreprocess& own, double most) {
  const auto channels = static_cast<double>(own.factor.size());
  double low = 0, high = 0;
  for (size_t c = 0; c < own.factor.size(); ++c) {
    low += own.shift[c] / channels;
    high += (own.factor[c] * most + own.shift[c]) / channels;
  }
  const double span = high - low;
  const bool normalized = span > 0.9 && span < 10 && low > -6 && low < 0.1;
  const bool raw = std::abs(span - 255) < 3 && (low == 0 || (low < -10 && low > -250));
  return normalized || raw;
}

// The means that are subtracted, in pixels of 0 to 1, are those of blue, green, red.
bool is_bgr(const GraphPreprocess& own, double most) {
  constexpr std::array<double, 3> rgb{0.485, 0.456, 0.406};
  if (own.factor.size() != 3) return false;
  for (size_t c = 0; c < 3; ++c)
    if (std::abs(-own.shift[c] / own.factor[c] / most - rgb[2 - c]) > 0.01) return false;
  return true;
}

}  // namespace

GraphPreprocess read_graph_preprocess(const GraphSource& source, int64_t channels) {
  return Walk(source, channels)();
}

std::optional<io::Preprocess> enter_graph(const GraphPreprocess& own, bool integers,
                                          std::array<int64_t, 2> sides, Finding& finding) {
  const bool whole = integers || is_usual(own, 255);
  if (!whole && !is_usual(own, 1)) return std::nullopt;
  if (whole && !integers && is_usual(own, 1)) return std::nullopt;
  const double most = whole ? 255 : 1;
  const size_t channels = own.factor.size();
  io::Preprocess p = usual_geometry(sides);
  p.channels = static_cast<int64_t>(channels);
  p.scale = whole ? 1 : 1.0 / 255;
  p.bgr = is_bgr(own, most);
  p.mean.assign(channels, 0);
  p.deviation.assign(channels, 1);
  std::vector<std::string> mean, deviation;
  for (size_t c = 0; c < channels; ++c) {
    const auto rounded = [](double v) { return str(std::round(v * 1e4) / 1e4); };
    mean.push_back(rounded(-own.shift[c] / own.factor[c] / most));
    deviation.push_back(rounded(1 / own.factor[c] / most));
  }
  const std::string order = channels == 1 ? "grey" : p.bgr ? "BGR" : "RGB";
  finding = {str(order, ", 0 to ", most, ", as they are, ", p.sides()), true,
             own.nodes.empty() ? "the graph's input is uint8"
                               : str("the graph does its own: ", join(own.nodes),
                                     ", in pixels of 0 to 1 a mean of ", join(mean),
                                     " and a deviation of ", join(deviation))};
  return p;
}

}  // namespace graft::models
