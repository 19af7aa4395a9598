#include "graft/models/graph/work_limit.h"

#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "graft/layers/functional/matrices.h"
#include "graft/layers/functional/pool.h"
#include "graft/models/graph/operators/window.h"

namespace graft::models::graph {
namespace {

thread_local ScopedWorkLimit* t_work_limit = nullptr;  // the innermost

constexpr double kOtherType = 8, kElement = 16;  // of a product; read, written or in a window

double elements(const Shape& shape) { return static_cast<double>(shape.numel()); }

double weight_of_type(const Tensor& tensor) {
  return tensor.dtype() == DType::f32 ? 1 : kOtherType;
}

// x [N,C,...] and weight [K,C/groups,...]: for each output the sum over the weight's channels and
// window.
double work_of_convolution(const OpCall& call, size_t weight_input) {
  const Tensor &x = call.in(0), &weight = call.in(weight_input);
  const Shape y =
      ops::conv_output_shape(x.shape(), weight.shape(), read_convolution(call, x, weight));
  return weight_of_type(x) * elements(y) * elements(weight.shape()) /
         static_cast<double>(std::max<int64_t>(weight.size(0), 1));
}

// Every input element meets its channel's [K/groups,...] of the weight [C,K/groups,...].
double work_of_transposed(const OpCall& call) {
  const Tensor &x = call.in(0), &weight = call.in(1);
  return weight_of_type(x) * elements(x.shape()) * elements(weight.shape()) /
         static_cast<double>(std::max<int64_t>(weight.size(0), 1));
}

// NumPy's matmul: a vector is a matrix of one row, or of one column.
double work_of_product(const OpCall& call, size_t second) {
  const Tensor &a = call.in(0), &b = call.in(second);
  const auto matrix = [](const Shape& s, bool row) {
    return s.rank() == 1 ? (row ? Shape{1, s[0]} : Shape{s[0], 1}) : s;
  };
  const Shape left = matrix(a.shape(), true), right = matrix(b.shape(), false);
  return weight_of_type(a) * elements(ops::matmul_output_shape(left, right)) *
         static_cast<double>(left.at(-1));
}

double work_of_gemm(const OpCall& call) {
  const Tensor &a = call.in(0), &b = call.in(1);
  const bool transposed = call.integer("transA", 0) != 0;
  const double inner = static_cast<double>(a.shape().at(transposed ? 0 : 1));
  return weight_of_type(a) * elements(a.shape()) * elements(b.shape()) / std::max(inner, 1.0);
}

// The letters of a term such as "b...ij", those behind the dots belonging to the last axes; what
// they stand for is noted, and what the dots stand for.
std::string letters_of_term(const std::string& term, const Shape& shape,
                            std::map<char, double>& extents, double& unnamed) {
  std::string front, back;
  bool dots = false;
  for (const char c : term) {
    dots = dots || c == '.';
    if (std::isalpha(static_cast<unsigned char>(c))) (dots ? back : front) += c;
  }
  const int first = static_cast<int>(front.size()),
            last = shape.rank() - static_cast<int>(back.size());
  GRAFT_CHECK(first <= last, "einsum: '", term, "' for ", shape);
  double between = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto extent = static_cast<double>(shape[axis]);
    if (axis >= first && axis < last) {
      between *= extent;
      continue;
    }
    double& known = extents[axis < first ? front[static_cast<size_t>(axis)]
                                         : back[static_cast<size_t>(axis - last)]];
    known = std::max(known, extent);
  }
  unnamed = std::max(unnamed, between);
  return front + back;
}

// Pairs from the left, as functional::einsum goes: each takes all letters of both; kept are those
// that the result or a later operand names.
double work_of_einsum(const OpCall& call) {
  const std::string equation = call.text("equation", "");
  const size_t arrow = equation.find("->");
  const std::string result = arrow == std::string::npos ? equation : equation.substr(arrow);
  std::vector<std::string> terms(1);
  for (const char c : equation.substr(0, arrow))
    if (c == ',')
      terms.emplace_back();
    else
      terms.back() += c;
  GRAFT_CHECK(terms.size() == call.inputs(), "einsum: '", equation, "'");
  std::map<char, double> extents;
  double unnamed = 1;
  for (size_t i = 0; i < terms.size(); ++i)
    terms[i] = letters_of_term(terms[i], call.in(i).shape(), extents, unnamed);
  std::set<char> kept;
  double work = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    kept.insert(terms[i].begin(), terms[i].end());
    double step = unnamed;
    for (const char letter : kept) step *= extents[letter];
    work += step;
    std::erase_if(kept, [&](char letter) {
      bool later = result.find(letter) != std::string::npos;
      for (size_t k = i + 1; k < terms.size(); ++k)
        later = later || terms[k].find(letter) != std::string::npos;
      return !later;
    });
  }
  return weight_of_type(call.in(0)) * work;
}

// Scores and their sums: every query meets every key, once with D and once with Dv numbers. A head
// of the values serves several of the queries.
double work_of_attention(const OpCall& call) {
  const Shape &query = call.in(0).shape(), &key = call.in(1).shape(), &value = call.in(2).shape();
  const bool flat = query.rank() == 3;
  const int tokens = flat ? 1 : 2;
  const int64_t heads = flat ? call.integer("q_num_heads", 0) : query.at(1),
                value_heads = flat ? call.integer("kv_num_heads", 0) : value.at(1);
  GRAFT_CHECK(heads >= 1 && value_heads >= 1, "attention of ", heads, " heads");
  const double past = call.has(4) ? static_cast<double>(call.in(4).shape().at(-2)) : 0;
  const double keys = past + static_cast<double>(key.at(tokens));
  const double queries = static_cast<double>(query.at(tokens));
  const double values = elements(value) / std::max(1.0, static_cast<double>(value.at(tokens))) *
                        static_cast<double>(heads) / static_cast<double>(value_heads);
  return weight_of_type(call.in(0)) * keys * (elements(query) + values * queries);
}

double work_of_pool(const OpCall& call) {
  const Shape& x = call.in(0).shape();
  const ops::Window window = read_window(call, x, call.integers("kernel_shape"));
  double taps = kElement;
  for (int axis = 0; axis < window.axes; ++axis)
    taps *= static_cast<double>(window.kernel[static_cast<size_t>(axis)]);
  return taps *
         elements(ops::pool_output_shape("pool", x, window, call.integer("ceil_mode", 0) != 0));
}

// sampling_ratio^2 places a cell; without one as many as the box has pixels, the map's at most.
double work_of_boxes(const OpCall& call) {
  const Shape& x = call.in(0).shape();
  const auto extent = [&](const char* name) { return static_cast<double>(call.integer(name, 1)); };
  const double ratio = static_cast<double>(call.integer("sampling_ratio", 0));
  const double cells = extent("output_height") * extent("output_width");
  const double places =
      ratio > 0
          ? cells * ratio * ratio
          : std::max(cells, static_cast<double>(x.at(2)) * static_cast<double>(x.at(3)) + cells);
  return kElement * static_cast<double>(call.in(1).shape().at(0)) * static_cast<double>(x.at(1)) *
         places;
}

double work_beyond_elements(const OpCall& call) {
  const std::string_view op = call.node().op_type;
  if (op == "Conv" || op == "ConvInteger") return work_of_convolution(call, 1);
  if (op == "QLinearConv") return work_of_convolution(call, 3);
  if (op == "ConvTranspose") return work_of_transposed(call);
  if (op == "MatMul" || op == "MatMulInteger") return work_of_product(call, 1);
  if (op == "QLinearMatMul") return work_of_product(call, 3);
  if (op == "Gemm") return work_of_gemm(call);
  if (op == "Einsum") return work_of_einsum(call);
  if (op == "Attention") return work_of_attention(call);
  if (op == "MaxPool" || op == "AveragePool" || op == "LpPool") return work_of_pool(call);
  if (op == "RoiAlign") return work_of_boxes(call);
  if (op == "LRN")
    return kElement * elements(call.in(0).shape()) * static_cast<double>(call.integer("size"));
  return 0;
}

}  // namespace

ScopedWorkLimit::ScopedWorkLimit(double operations)
    : left_(operations), outer_(std::exchange(t_work_limit, this)) {}
ScopedWorkLimit::~ScopedWorkLimit() { t_work_limit = outer_; }

void charge_work(double operations) {
  if (!t_work_limit) return;
  double& left = t_work_limit->left_;
  t_work_limit->was_reached_ = t_work_limit->was_reached_ || operations > left;
  GRAFT_CHECK(operations <= left, "it takes about ", std::ceil(operations / 1e6),
              " million multiply-adds where ", std::floor(std::max(left, 0.0) / 1e6),
              " million are left to it");
  left -= operations;
}

double work_of_elements(std::span<const Tensor> tensors) {
  double work = 0;
  for (const Tensor& tensor : tensors)
    if (tensor.defined()) work += kElement * elements(tensor.shape());
  return work;
}

double work_of(const OpCall& call) {
  const double pass = work_of_elements(call.all());
  try {
    return pass + work_beyond_elements(call);
  } catch (const Error&) {
    return pass;
  }
}

}  // namespace graft::models::graph
