// Pooling and resizing of maps.
#include <algorithm>

#include "graft/models/aten/aten_call.h"

namespace graft::models::aten {
namespace {

using io::onnx::integer_attribute;
using io::onnx::integers_attribute;
using io::onnx::real_attribute;

constexpr int64_t kMostMatrix = int64_t{1} << 14;  // elements, of an adaptive pool

std::vector<int64_t> twice(std::vector<int64_t> pads) {
  const std::vector<int64_t> begin = pads;
  pads.insert(pads.end(), begin.begin(), begin.end());
  return pads;
}

std::vector<Attribute> window(AtenCall& call) {
  if (call.rank("self") < 3) call.refuse("a map without a batch");
  const auto n = static_cast<size_t>(call.rank("self") - 2);
  const std::vector<int64_t> kernel = call.integers("kernel_size", {}, n);
  return {
      integers_attribute("kernel_shape", kernel),
      integers_attribute("strides", call.integers("stride", kernel, n)),
      integers_attribute("pads", twice(call.integers("padding", std::vector<int64_t>(n, 0), n))),
      integer_attribute("ceil_mode", call.flag("ceil_mode"))};
}

void max_pool(AtenCall& call) {
  std::vector<Attribute> attributes = window(call);
  const auto n = static_cast<size_t>(call.rank("self") - 2);
  attributes.push_back(
      integers_attribute("dilations", call.integers("dilation", std::vector<int64_t>(n, 1), n)));
  call.finish(call.add("MaxPool", {call.tensor("self")}, std::move(attributes)));
}

void avg_pool(AtenCall& call) {
  if (call.find("divisor_override")) call.refuse("an average with a divisor of its own");
  std::vector<Attribute> attributes = window(call);
  attributes.push_back(
      integer_attribute("count_include_pad", call.flag("count_include_pad", true)));
  call.finish(call.add("AveragePool", {call.tensor("self")}, std::move(attributes)));
}

// [out, in]: row o is the mean of the entries from floor(o in / out) to ceil((o + 1) in / out).
Tensor mean_matrix(int64_t in, int64_t out) {
  GRAFT_CHECK(in > 0 && out > 0 && in <= kMostMatrix / out, "an adaptive pool of ", in, " to ",
              out);
  Tensor matrix = Tensor::zeros({out, in});
  float* entries = matrix.mutable_data<float>();
  for (int64_t o = 0; o < out; ++o) {
    const int64_t begin = o * in / out, end = ((o + 1) * in + out - 1) / out;
    for (int64_t i = begin; i < end; ++i)
      entries[o * in + i] = 1.0F / static_cast<float>(end - begin);
  }
  return matrix;
}

// Windows of one size where the sizes divide; averages of several sizes are products with a matrix
// an axis.
void adaptive_pool(AtenCall& call, bool average) {
  const int rank = call.rank("self");
  const auto n = static_cast<size_t>(rank - 2);
  if (rank < 3) call.refuse("a map without a batch");
  const std::vector<int64_t> wanted = call.integers("output_size", {}, n);
  if (std::all_of(wanted.begin(), wanted.end(), [](int64_t size) { return size == 1; }))
    return call.finish(
        call.add(average ? "GlobalAveragePool" : "GlobalMaxPool", {call.tensor("self")}));
  std::vector<int64_t> kernel;
  bool divides = true, same = true;
  for (size_t i = 0; i < n; ++i) {
    const int64_t in = call.size("self", static_cast<int>(i) + 2);
    if (wanted[i] < 1) call.refuse("an adaptive pool to no pixels");
    divides = divides && in % wanted[i] == 0;
    same = same && in == wanted[i];
    kernel.push_back(in / wanted[i]);
  }
  if (same) return call.finish(call.add("Identity", {call.tensor("self")}));
  if (divides)
    return call.finish(call.add(
        average ? "AveragePool" : "MaxPool", {call.tensor("self")},
        {integers_attribute("kernel_shape", kernel), integers_attribute("strides", kernel)}));
  if (!average || n > 2) call.refuse("an adaptive pool whose sizes do not divide");
  const auto product = [&](const char* equation, int axis, const std::string& value) {
    Attribute a;
    a.name = "equation";
    a.type = io::onnx::AttributeType::string;
    a.s = equation;
    return call.add(
        "Einsum",
        {call.constant(mean_matrix(call.size("self", axis), wanted[static_cast<size_t>(axis) - 2])),
         value},
        {a});
  };
  if (n == 1) return call.finish(product("ow,ncw->nco", 2, call.tensor("self")));
  call.finish(product("ow,nchw->ncho", 3, product("oh,nchw->ncow", 2, call.tensor("self"))));
}
void adaptive_avg(AtenCall& call) { adaptive_pool(call, true); }
void adaptive_max(AtenCall& call) { adaptive_pool(call, false); }

// The result's sides in pixels, or the factors where the program names those.
void resize(AtenCall& call, const char* mode) {
  const std::string name = mode;
  const char* x = call.is_tensor("input") ? "input" : "self";
  const int rank = call.rank(x);
  std::vector<int64_t> axes;
  for (int axis = 2; axis < rank; ++axis) axes.push_back(axis);
  Attribute of_mode, coordinates;
  of_mode.name = "mode";
  coordinates.name = "coordinate_transformation_mode";
  of_mode.type = coordinates.type = io::onnx::AttributeType::string;
  of_mode.s = mode;
  coordinates.s = name == "nearest"            ? "asymmetric"
                  : call.flag("align_corners") ? "align_corners"
                                               : "half_pixel";
  std::vector<Attribute> attributes{of_mode, coordinates, integers_attribute("axes", axes)};
  if (name == "nearest") {
    Attribute rounding = of_mode;
    rounding.name = "nearest_mode";
    rounding.s = "floor";
    attributes.push_back(rounding);
  }
  if (name == "cubic") attributes.push_back(real_attribute("cubic_coeff_a", -0.75));
  std::vector<float> factors;
  if (const ExportedArgument* list = call.find("scale_factors"))
    for (const double factor : list->reals) factors.push_back(static_cast<float>(factor));
  for (const char* one : {"scales_h", "scales_w"})
    if (call.find(one)) factors.push_back(static_cast<float>(call.real(one)));
  if (factors.size() == axes.size() && !call.flag("align_corners"))
    return call.finish(call.add(
        "Resize",
        {call.tensor(x), "",
         call.constant(Tensor::of<float>({static_cast<int64_t>(factors.size())}, factors))},
        attributes));
  const ExportedArgument* list = call.find("output_size");
  if (!list && factors.size() == axes.size() && call.result().sizes.size() == axes.size() + 2) {
    std::vector<int64_t> sizes;
    for (size_t i = 0; i < axes.size(); ++i) sizes.push_back(call.result().sizes[i + 2]);
    return call.finish(
        call.add("Resize", {call.tensor(x), "", "", call.numbers(sizes)}, attributes));
  }
  if (!list) call.refuse("neither sides nor factors are given");
  call.finish(call.add("Resize", {call.tensor(x), "", "", call.sizes_value(*list)}, attributes));
}
void nearest(AtenCall& call) { resize(call, "nearest"); }
void bilinear(AtenCall& call) { resize(call, "linear"); }
void cubic(AtenCall& call) { resize(call, "cubic"); }

constexpr AtenOperator kPools[] = {
    {"max_pool1d", max_pool},
    {"max_pool2d", max_pool},
    {"max_pool3d", max_pool},
    {"max_pool2d_with_indices", max_pool},
    {"avg_pool1d", avg_pool},
    {"avg_pool2d", avg_pool},
    {"avg_pool3d", avg_pool},
    {"adaptive_avg_pool1d", adaptive_avg},
    {"adaptive_avg_pool2d", adaptive_avg},
    {"adaptive_avg_pool3d", adaptive_avg},
    {"_adaptive_avg_pool2d", adaptive_avg},
    {"adaptive_max_pool2d", adaptive_max},
    {"upsample_nearest2d", nearest},
    {"upsample_bilinear2d", bilinear},
    {"upsample_bicubic2d", cubic},
};

}  // namespace

AtenTable aten_pools() { return kPools; }

}  // namespace graft::models::aten
