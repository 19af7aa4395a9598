#include "graft/models/onnx_nodes.h"

#include <cmath>

#include "graft/io/onnx/attributes.h"
#include "graft/layers/functional/batch_norm.h"
#include "graft/layers/functional/binary.h"
#include "graft/layers/functional/conv.h"
#include "graft/layers/functional/image.h"
#include "graft/layers/functional/linear.h"
#include "graft/layers/functional/pool.h"
#include "graft/layers/functional/shape_change.h"
#include "graft/layers/functional/softmax.h"
#include "graft/layers/functional/unary.h"
#include "graft/models/onnx_export.h"

namespace graft::models {
namespace {

using io::onnx::Attribute;
using io::onnx::integer_attribute;
using io::onnx::integers_attribute;
using io::onnx::real_attribute;
using io::onnx::text_attribute;

// kernel_shape, strides, pads and, where it is not 1, dilations.
std::vector<Attribute> window_attributes(const ops::Window& w) {
  const auto first = [&](const ops::Spatial& v) {
    return std::vector<int64_t>(v.begin(), v.begin() + w.axes);
  };
  std::vector<int64_t> pads = first(w.pad_begin);
  const std::vector<int64_t> ends = first(w.pad_end), dilations = first(w.dilation);
  pads.insert(pads.end(), ends.begin(), ends.end());
  std::vector<Attribute> attributes = {integers_attribute("kernel_shape", first(w.kernel)),
                                       integers_attribute("strides", first(w.stride)),
                                       integers_attribute("pads", pads)};
  for (const int64_t d : dilations)
    if (d != 1) return attributes.push_back(integers_attribute("dilations", dilations)), attributes;
  return attributes;
}

// The ONNX operator of a function without parameters of its own; null for the others.
const char* operator_of(ops::Unary function) {
  switch (function) {
    case ops::Unary::relu: return "Relu";
    case ops::Unary::sigmoid: return "Sigmoid";
    case ops::Unary::tanh: return "Tanh";
    case ops::Unary::neg: return "Neg";
    case ops::Unary::exp: return "Exp";
    case ops::Unary::log: return "Log";
    case ops::Unary::sqrt: return "Sqrt";
    case ops::Unary::abs: return "Abs";
    case ops::Unary::erf: return "Erf";
    case ops::Unary::softplus: return "Softplus";
    case ops::Unary::mish: return "Mish";
    default: return nullptr;
  }
}

const char* operator_of(ops::Binary function) {
  switch (function) {
    case ops::Binary::add: return "Add";
    case ops::Binary::sub: return "Sub";
    case ops::Binary::mul: return "Mul";
    case ops::Binary::div: return "Div";
    case ops::Binary::pow: return "Pow";
    case ops::Binary::prelu: return "PRelu";
    default: return nullptr;
  }
}

}  // namespace

void OnnxNodes::name(const Tensor& tensor, const std::string& name, bool parameter) {
  names_[key_of(tensor)] = name;
  used_[name] = 1;
  if (parameter) parameters_[name] = tensor;
}

const std::string& OnnxNodes::name_of(const Tensor& tensor) const {
  const auto found = names_.find(key_of(tensor));
  GRAFT_CHECK(found != names_.end(), "onnx: a value ", tensor.shape(),
              " was not computed by recorded operations");
  return found->second;
}

std::string OnnxNodes::fresh(const std::string& wanted) {
  const int count = used_[wanted]++;
  return count == 0 ? wanted : fresh(wanted + "_" + std::to_string(count));
}

std::string OnnxNodes::output(const TraceStep& step) {
  for (size_t i = 1; i < step.inputs.size(); ++i) {
    if (!step.inputs[i].defined()) continue;
    const auto found = names_.find(key_of(step.inputs[i]));
    if (found != names_.end() && found->second.ends_with(".weight"))
      return fresh(found->second.substr(0, found->second.size() - 7));
  }
  return fresh(std::string(step.op));
}

std::string OnnxNodes::input(const TraceStep& step, size_t index) {
  if (index >= step.inputs.size() || !step.inputs[index].defined()) return "";
  const std::string& name = name_of(step.inputs[index]);
  if (const auto parameter = parameters_.find(name); parameter != parameters_.end()) {
    graph_.initializers.push_back({name, {}, {}, parameter->second, {}});
    parameters_.erase(parameter);
  }
  return name;
}

std::string OnnxNodes::constant(const std::string& what, Tensor value) {
  const std::string name = fresh(kOnnxConstantPrefix + what);
  graph_.initializers.push_back({name, {}, {}, std::move(value), {}});
  return name;
}

void OnnxNodes::node(const char* op, std::vector<std::string> inputs, const std::string& output,
                     Attributes attributes) {
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  io::onnx::Node made;
  made.name = output;
  made.op_type = op;
  made.inputs = std::move(inputs);
  made.outputs = {output};
  made.attributes = std::move(attributes);
  graph_.nodes.push_back(std::move(made));
}

void OnnxNodes::convolution(const TraceStep& step) {
  const auto& conv = step.as<ops::ConvAttributes>();
  Attributes attributes = window_attributes(conv.window);
  if (conv.groups != 1) attributes.push_back(integer_attribute("group", conv.groups));
  const std::string y = output(step);
  node("Conv", {input(step, 0), input(step, 1), input(step, 2)}, y, attributes);
  names_[key_of(step.outputs[0])] = y;
}

void OnnxNodes::batch_norm(const TraceStep& step) {
  const auto& norm = step.as<ops::BatchNormAttributes>();
  GRAFT_CHECK(!norm.training, "onnx: a batch norm in training mode is not written");
  GRAFT_CHECK(step.inputs.at(1).defined() && step.inputs.at(2).defined(),
              "onnx: a batch norm without weight and bias is not written");
  std::string y = output(step);
  const std::string base = y;
  node("BatchNormalization",
       {input(step, 0), input(step, 1), input(step, 2), input(step, 4), input(step, 5)}, y,
       {real_attribute("epsilon", norm.eps)});
  if (step.inputs[3].defined()) {
    const std::string sum = fresh(base + ".add");
    node("Add", {y, input(step, 3)}, sum);
    y = sum;
  }
  if (norm.relu) {
    const std::string activated = fresh(base + ".relu");
    node("Relu", {y}, activated);
    y = activated;
  }
  names_[key_of(step.outputs[0])] = y;
}

void OnnxNodes::unary(const TraceStep& step) {
  const auto& a = step.as<ops::UnaryAttributes>();
  const std::string x = input(step, 0);
  if (a.function == ops::Unary::relu6 || a.function == ops::Unary::clip) {
    const bool six = a.function == ops::Unary::relu6;
    const std::string y = fresh("clip");
    const DType dtype = step.inputs[0].dtype();
    node("Clip",
         {x, constant(y + ".min", Tensor::of({}, std::vector<double>{six ? 0 : a.alpha}).to(dtype)),
          constant(y + ".max", Tensor::of({}, std::vector<double>{six ? 6 : a.beta}).to(dtype))},
         y);
    names_[key_of(step.outputs[0])] = y;
    return;
  }
  if (a.function == ops::Unary::silu && a.alpha == 1) {
    const std::string gate = fresh("sigmoid"), y = fresh("silu");
    node("Sigmoid", {x}, gate);
    node("Mul", {x, gate}, y);
    names_[key_of(step.outputs[0])] = y;
    return;
  }
  Attributes attributes;
  const char* op = operator_of(a.function);
  switch (a.function) {
    case ops::Unary::leaky_relu:
      op = "LeakyRelu";
      attributes = {real_attribute("alpha", a.alpha)};
      break;
    case ops::Unary::elu:
      op = "Elu";
      attributes = {real_attribute("alpha", a.alpha)};
      break;
    case ops::Unary::hard_sigmoid:
      op = "HardSigmoid";
      attributes = {real_attribute("alpha", a.alpha), real_attribute("beta", a.beta)};
      break;
    case ops::Unary::hard_swish: op = "HardSwish"; break;
    default: break;
  }
  GRAFT_CHECK(op, "onnx: element-wise function number ", static_cast<int>(a.function),
              " is not written");
  const std::string y = fresh(std::string(op));
  node(op, {x}, y, attributes);
  names_[key_of(step.outputs[0])] = y;
}

void OnnxNodes::binary(const TraceStep& step) {
  const char* op = operator_of(step.as<ops::BinaryAttributes>().function);
  GRAFT_CHECK(op, "onnx: function number ",
              static_cast<int>(step.as<ops::BinaryAttributes>().function),
              " of two tensors is not written");
  const std::string y = fresh(op);
  node(op, {input(step, 0), input(step, 1)}, y);
  names_[key_of(step.outputs[0])] = y;
}

void OnnxNodes::max_pool(const TraceStep& step) {
  const auto& pool = step.as<ops::MaxPoolAttributes>();
  Attributes attributes = window_attributes(pool.window);
  if (pool.ceil_mode) attributes.push_back(integer_attribute("ceil_mode", 1));
  const std::string y = fresh("maxpool");
  node("MaxPool", {input(step, 0)}, y, attributes);
  names_[key_of(step.outputs[0])] = y;
}

void OnnxNodes::average_pool(const TraceStep& step) {
  const auto& pool = step.as<ops::AveragePoolAttributes>();
  Attributes attributes = window_attributes(pool.window);
  GRAFT_CHECK(pool.window.dilation == ops::Window{}.dilation,
              "onnx: a dilated average pool is not in opset 17");
  if (pool.ceil_mode) attributes.push_back(integer_attribute("ceil_mode", 1));
  if (pool.count_include_pad) attributes.push_back(integer_attribute("count_include_pad", 1));
  const std::string y = fresh("avgpool");
  node("AveragePool", {input(step, 0)}, y, attributes);
  names_[key_of(step.outputs[0])] = y;
}

// To 1x1 it is a global one; to sizes that divide the input's, windows that do not overlap.
void OnnxNodes::adaptive_pool(const TraceStep& step) {
  const Shape &x = step.inputs[0].shape(), &out = step.outputs[0].shape();
  const std::string y = fresh("avgpool");
  bool global = true;
  ops::Window window;
  window.axes = x.rank() - 2;
  for (int axis = 2; axis < x.rank(); ++axis) {
    global = global && out[axis] == 1;
    GRAFT_CHECK(x[axis] % out[axis] == 0, "onnx: an adaptive average pool from ", x, " to ", out,
                " has windows of different sizes");
    window.kernel[static_cast<size_t>(axis - 2)] = window.stride[static_cast<size_t>(axis - 2)] =
        x[axis] / out[axis];
  }
  if (global)
    node("GlobalAveragePool", {input(step, 0)}, y);
  else
    node("AveragePool", {input(step, 0)}, y, window_attributes(window));
  names_[key_of(step.outputs[0])] = y;
}

void OnnxNodes::reshape(const TraceStep& step) {
  const Shape &x = step.inputs[0].shape(), &out = step.outputs[0].shape();
  GRAFT_CHECK(x.rank() >= 1 && out.rank() >= 1 && x[0] == out[0], "onnx: a reshape from ", x,
              " to ", out, " mixes samples");
  const std::string y = fresh(out.rank() == 2 ? "flatten" : "reshape");
  if (out.rank() == 2) {
    node("Flatten", {input(step, 0)}, y, {integer_attribute("axis", 1)});
  } else {
    std::vector<int64_t> extents(out.begin(), out.end());
    extents[0] = 0;  // as it is
    node("Reshape",
         {input(step, 0), constant(y + ".shape", Tensor::of({std::ssize(extents)}, extents))}, y);
  }
  names_[key_of(step.outputs[0])] = y;
}

void OnnxNodes::pad(const TraceStep& step) {
  const auto& a = step.as<ops::PadAttributes>();
  std::vector<int64_t> pads = a.begin;
  pads.insert(pads.end(), a.end.begin(), a.end.end());
  const std::string y = fresh("pad");
  node("Pad",
       {input(step, 0), constant(y + ".pads", Tensor::of({std::ssize(pads)}, pads)),
        constant(y + ".value",
                 Tensor::of({}, std::vector<double>{a.value}).to(step.inputs[0].dtype()))},
       y);
  names_[key_of(step.outputs[0])] = y;
}

// One axis of functional::interpolate.
void OnnxNodes::resample(const TraceStep& step) {
  using functional::ResizeMode;
  const auto& a = step.as<ops::ResampleAttributes>();
  const Shape& x = step.inputs[0].shape();
  const int64_t in = x[a.axis], out = step.outputs[0].shape()[a.axis];
  const auto is = [&](ResizeMode mode) {
    const ops::ResampleAttributes b = functional::interpolation(a.axis, in, out, mode);
    return a.first == b.first && a.positions == b.positions && a.weights == b.weights;
  };
  const bool linear = is(ResizeMode::linear);
  GRAFT_CHECK(linear || is(ResizeMode::nearest), "onnx: a resize from ", x, " to ",
              step.outputs[0].shape(), " that is neither PyTorch's bilinear nor its nearest");
  // Readers round the extent down.
  auto scale = static_cast<float>(static_cast<double>(out) / static_cast<double>(in));
  if (static_cast<double>(scale) * static_cast<double>(in) < static_cast<double>(out))
    scale = std::nextafter(scale, 2 * scale);
  std::vector<float> scales(static_cast<size_t>(x.rank()), 1);
  scales[static_cast<size_t>(a.axis)] = scale;
  Attributes attributes = {
      text_attribute("mode", linear ? "linear" : "nearest"),
      text_attribute("coordinate_transformation_mode", linear ? "half_pixel" : "asymmetric")};
  if (!linear) attributes.push_back(text_attribute("nearest_mode", "floor"));
  const std::string y = fresh("resize");
  node("Resize",
       {input(step, 0), "", constant(y + ".scales", Tensor::of({std::ssize(scales)}, scales))}, y,
       attributes);
  names_[key_of(step.outputs[0])] = y;
}

void OnnxNodes::add(const TraceStep& step) {
  if (step.op == ops::ConvAttributes::id) return convolution(step);
  if (step.op == ops::BatchNormAttributes::id) return batch_norm(step);
  if (step.op == ops::UnaryAttributes::id) return unary(step);
  if (step.op == ops::BinaryAttributes::id) return binary(step);
  if (step.op == ops::MaxPoolAttributes::id) return max_pool(step);
  if (step.op == ops::AveragePoolAttributes::id) return average_pool(step);
  if (step.op == ops::AdaptiveAveragePoolAttributes::id) return adaptive_pool(step);
  if (step.op == ops::ReshapeAttributes::id) return reshape(step);
  if (step.op == ops::PadAttributes::id) return pad(step);
  if (step.op == ops::ResampleAttributes::id) return resample(step);
  const std::string y = output(step);
  if (step.op == ops::LinearAttributes::id) {
    node("Gemm", {input(step, 0), input(step, 1), input(step, 2)}, y,
         {integer_attribute("transB", 1)});
  } else if (step.op == ops::ConcatAttributes::id) {
    std::vector<std::string> inputs;
    for (size_t i = 0; i < step.inputs.size(); ++i) inputs.push_back(input(step, i));
    node("Concat", inputs, y, {integer_attribute("axis", step.as<ops::ConcatAttributes>().axis)});
  } else if (step.op == ops::SoftmaxAttributes::id) {
    const auto& a = step.as<ops::SoftmaxAttributes>();
    node(a.log ? "LogSoftmax" : "Softmax", {input(step, 0)}, y,
         {integer_attribute("axis", a.axis)});
  } else {
    bad_input("onnx: the operation ", step.op, " is not written");
  }
  names_[key_of(step.outputs[0])] = y;
}

}  // namespace graft::models
