// Convolutions, products with weights, pools, norms and resizing: what wants its channels first.
#include <algorithm>

#include "graft/core/base/checked_math.h"
#include "graft/models/naming/permuted.h"
#include "graft/models/tensorflow/translation.h"

namespace graft::models::tensorflow {
namespace {

using keras::ints;
using keras::text;

constexpr int64_t kMostWindow = 65'536;

struct Window {
  Dims kernel, strides, dilations;  // height and width
  std::string padding;
  Dims pads;  // EXPLICIT: top, bottom, left, right
};

// Numbers 1 and 2 of a list over N, H, W and C.
Dims spatial(const Call& call, const char* name) {
  const Dims all = call.list(name, {1, 1, 1, 1});
  GRAFT_CHECK(all.size() == 4 && all[0] == 1 && all[3] == 1, "its ", name, " are ", join(all));
  for (const int64_t number : all)
    GRAFT_CHECK(number >= 1 && number <= kMostWindow, "its ", name, " are ", join(all));
  return {all[1], all[2]};
}

Window window_of(const Call& call, Dims kernel) {
  GRAFT_CHECK(call.text("data_format", "NHWC") == "NHWC", "its data_format is ",
              call.text("data_format", ""), "; graft reads NHWC");
  for (const int64_t extent : kernel)
    GRAFT_CHECK(extent >= 1 && extent <= kMostWindow, "its window is ", join(kernel));
  Window w{std::move(kernel),
           spatial(call, "strides"),
           spatial(call, "dilations"),
           call.text("padding", "VALID"),
           {}};
  GRAFT_CHECK(w.padding == "SAME" || w.padding == "VALID" || w.padding == "EXPLICIT",
              "its padding is ", w.padding);
  if (w.padding == "EXPLICIT") {
    const Dims all = call.list("explicit_paddings", {});
    GRAFT_CHECK(all.size() == 8 && all[0] == 0 && all[1] == 0 && all[6] == 0 && all[7] == 0 &&
                    std::all_of(all.begin(), all.end(),
                                [](int64_t p) { return p >= 0 && p <= kMostWindow; }),
                "its explicit_paddings are ", join(all));
    w.pads = {all[2], all[3], all[4], all[5]};
  }
  return w;
}

Attributes attributes_of(const Window& w) {
  Attributes all{ints("kernel_shape", w.kernel), ints("strides", w.strides)};
  if (w.dilations != Dims{1, 1}) all.push_back(ints("dilations", w.dilations));
  if (w.padding == "SAME") all.push_back(text("auto_pad", "SAME_UPPER"));
  if (!w.pads.empty()) all.push_back(ints("pads", {w.pads[0], w.pads[2], w.pads[1], w.pads[3]}));
  return all;
}

int64_t behind(const Window& w, size_t axis, int64_t extent) {
  if (w.padding == "SAME") return ceil_div(extent, w.strides[axis]);
  if (!w.pads.empty()) extent += w.pads[2 * axis] + w.pads[2 * axis + 1];
  const int64_t span = (w.kernel[axis] - 1) * w.dilations[axis] + 1;
  GRAFT_CHECK(extent >= span, "its window of ", span, " is larger than what it is given, ", extent);
  return (extent - span) / w.strides[axis] + 1;
}

// Images [N,H,W,C] with their channels first.
Value maps(Call& call, const Item& item) {
  GRAFT_CHECK(item.is_computed() && item.value.rank() == 4 && is_of_batch(item.value.dims[0]) &&
                  !is_of_batch(product_of(std::span(item.value.dims).subspan(1))),
              "takes images [N,H,W,C], and is given ",
              item.is_computed() ? join(item.value.dims) : "a constant");
  Value value = call.writer().channels_first(item.value);
  value.of_image = false;
  return value;
}

Value with_maps(Value value, std::string name, int64_t height, int64_t width, int64_t channels) {
  value.name = std::move(name);
  value.dims = {value.dims[0], height, width, channels};
  return value;
}

std::string weight_name(Call& call, size_t input, const Tensor& as) {
  return call.t.stored(call.item(input), as, call.op);
}

void add_bias(Call& call, size_t input, int64_t channels, std::vector<std::string>& to) {
  if (!call.has_input(input)) return;
  const Tensor& bias = call.constant(input, "bias");
  GRAFT_CHECK(bias.numel() == channels, "its bias has ", bias.numel(), " numbers for ", channels,
              " channels");
  to.push_back(weight_name(call, input, bias.to(DType::f32).reshape(Shape{channels})));
}

// Behind SpaceToBatchND a convolution is the dilated one of what stood before it.
void take_block(const Item& in, Window& w) {
  if (in.block.empty()) return;
  GRAFT_CHECK(w.padding == "VALID" && w.strides == Dims({1, 1}) && w.dilations == Dims({1, 1}),
              "stands behind SpaceToBatchND and is no plain convolution");
  w.padding = "EXPLICIT";
  w.dilations = in.block;
  w.pads = in.block_pads;
}

void give_maps(Call& call, const Item& in, Value result) {
  Item out;
  out.value = std::move(result);
  out.block = in.block;
  call.give(std::move(out));
}

void convolve(Call& call, const Tensor& weight, int64_t groups, int64_t from) {
  const Item& in = call.item(0);
  const Value x = maps(call, in);
  Window w = window_of(call, {weight.size(2), weight.size(3)});
  take_block(in, w);
  GRAFT_CHECK(x.dims[3] == from, "its kernel takes ", from, " channels, and it is given ",
              x.dims[3]);
  std::vector<std::string> inputs{x.name, weight_name(call, 1, weight)};
  add_bias(call, 2, weight.size(0), inputs);
  Attributes all = attributes_of(w);
  if (groups > 1) all.push_back(keras::integer("group", groups));
  const int64_t height = behind(w, 0, x.dims[1]), width = behind(w, 1, x.dims[2]);
  give_maps(call, in,
            with_maps(x, call.writer().node("Conv", inputs, all), height, width, weight.size(0)));
}

const Tensor& kernel_of(const Call& call) {
  const Tensor& kernel = call.constant(1, "kernel");
  GRAFT_CHECK(kernel.rank() == 4 && is_floating(kernel.dtype()) && kernel.numel() > 0,
              "its kernel ", kernel.shape(), " is none of a convolution over images");
  return kernel;
}

// [H,W,I,O]
void convolution(Call& call) {
  const Tensor& kernel = kernel_of(call);
  const int64_t channels =
      call.item(0).is_computed() && call.item(0).value.rank() == 4 ? call.item(0).value.dims[3] : 0;
  GRAFT_CHECK(channels > 0 && channels % kernel.size(2) == 0, "its kernel ", kernel.shape(),
              " does not fit ", channels, " channels");
  const int64_t groups = channels / kernel.size(2);
  GRAFT_CHECK(kernel.size(3) % groups == 0, "its ", groups, " groups do not divide ",
              kernel.size(3), " channels");
  convolve(call, permuted(kernel, {3, 2, 0, 1}), groups, channels);
}

// [H,W,C,multiplier]
void depthwise_convolution(Call& call) {
  const Tensor& kernel = kernel_of(call);
  const Tensor turned = permuted(kernel, {2, 3, 0, 1});
  const int64_t channels = kernel.size(2);
  convolve(call,
           turned.reshape(Shape{channels * kernel.size(3), 1, kernel.size(0), kernel.size(1)}),
           channels, channels);
}

// What the full result has too much of at either end; below 0: zeros are added.
struct Cut {
  int64_t begin = 0, end = 0;
};

Cut cut_of(const Window& w, size_t axis, int64_t in, int64_t out) {
  const int64_t total = (in - 1) * w.strides[axis] + w.kernel[axis] - out;
  GRAFT_CHECK(total < w.kernel[axis] && -total < w.strides[axis], "gives ", out, " of ", in,
              " with a window of ", w.kernel[axis], " and strides of ", w.strides[axis]);
  const int64_t begin = w.padding == "SAME" && total > 0 ? total / 2 : 0;
  return {begin, total - begin};
}

// Of sizes, a kernel [H,W,O,I], images, and a bias.
void transposed_convolution(Call& call) {
  const Tensor& kernel = kernel_of(call);
  const Value x = maps(call, call.item(2));
  Window w = window_of(call, {kernel.size(0), kernel.size(1)});
  GRAFT_CHECK(w.dilations == Dims({1, 1}) && w.pads.empty() && x.dims[3] == kernel.size(3),
              "is a transposed convolution of a kind that graft does not know");
  Dims to = call.sizes(0, "shape");
  if (to.size() == 2) to = {x.dims[0], to[0], to[1], kernel.size(2)};
  GRAFT_CHECK(to.size() == 4 && to[1] > 0 && to[2] > 0, "its shape is ", join(to));
  std::vector<std::string> inputs{x.name, weight_name(call, 1, permuted(kernel, {3, 2, 0, 1}))};
  add_bias(call, 3, kernel.size(2), inputs);
  Dims pads(4, 0), added(2, 0);
  for (size_t axis = 0; axis < 2; ++axis) {
    const Cut cut = cut_of(w, axis, x.dims[axis + 1], to[axis + 1]);
    pads[axis] = cut.begin;
    pads[axis + 2] = std::max<int64_t>(cut.end, 0);
    added[axis] = std::max<int64_t>(-cut.end, 0);
  }
  const std::string out =
      call.writer().node("ConvTranspose", inputs,
                         {ints("kernel_shape", w.kernel), ints("strides", w.strides),
                          ints("pads", pads), ints("output_padding", added)});
  call.give(with_maps(x, out, to[1], to[2], kernel.size(2)));
}

// [I,O], or [O,I] with transpose_b, over the last axis; a bias as the third input.
void product_with_weights(Call& call) {
  if (!call.item(1).is_constant() || call.item(1).constant.rank() != 2) {
    find_operator("BatchMatMulV2")->run(call);
    return;
  }
  const Tensor weight = call.constant(1, "matrix").to(DType::f32);
  GRAFT_CHECK(!call.flag("transpose_a") && weight.numel() > 0,
              "multiplies matrices of a kind that graft does not know");
  const bool output_first = call.flag("transpose_b");
  const int64_t from = weight.size(output_first ? 1 : 0), to = weight.size(output_first ? 0 : 1);
  Value x = call.value(0);
  if (call.flag("flatten") && x.rank() != 2) {
    const int64_t rows = product_of(x.dims) / from;
    x = reshaped(call, x, {rows, from});
  }
  GRAFT_CHECK(x.rank() >= 1 && x.dims.back() == from, "multiplies ", join(x.dims), " by a matrix ",
              weight.shape());
  Value out = x.rank() == 2 ? x : call.writer().in_order(x);
  out.of_image = false;
  out.dims.back() = to;
  const auto turned = [&](bool turn) {
    return weight_name(call, 1, turn ? permuted(weight, {1, 0}) : weight);
  };
  if (x.rank() == 2) {
    std::vector<std::string> inputs{x.name, turned(!output_first)};
    add_bias(call, 2, to, inputs);
    out.name = call.writer().node("Gemm", inputs, {keras::integer("transB", 1)});
  } else {
    out.name = call.writer().node("MatMul", {out.name, turned(output_first)});
    std::vector<std::string> bias{out.name};
    add_bias(call, 2, to, bias);
    if (bias.size() > 1) out.name = call.writer().node("Add", bias);
  }
  call.give(out);
}

void pool(Call& call, const char* op) {
  const Value x = maps(call, call.item(0));
  const Window w = window_of(call, spatial(call, "ksize"));
  GRAFT_CHECK(w.pads.empty(), "pads explicitly");
  const int64_t height = behind(w, 0, x.dims[1]), width = behind(w, 1, x.dims[2]);
  call.give(
      with_maps(x, call.writer().node(op, {x.name}, attributes_of(w)), height, width, x.dims[3]));
}
void max_pool(Call& call) { pool(call, "MaxPool"); }
void average_pool(Call& call) { pool(call, "AveragePool"); }

// A bias behind a convolution or a product becomes theirs where nothing else reads their result.
void bias_add(Call& call) {
  const Item& in = call.item(0);
  GRAFT_CHECK(call.text("data_format", "NHWC") == "NHWC", "its data_format is none of NHWC");
  const Tensor& bias = call.constant(1, "bias");
  GRAFT_CHECK(in.is_computed() && in.value.rank() >= 1 && bias.numel() == in.value.dims.back(),
              "its bias has ", bias.numel(), " numbers for ",
              in.is_computed() ? join(in.value.dims) : "a constant");
  Item out = in;
  out.value.of_image = false;
  io::onnx::Node* maker = call.is_read_once(0) ? call.writer().recent_node(in.value.name) : nullptr;
  const bool takes_bias =
      maker && maker->inputs.size() == 2 &&
      (maker->op_type == "Conv" || maker->op_type == "Gemm" || maker->op_type == "ConvTranspose");
  if (takes_bias) {
    std::string name = weight_name(call, 1, bias.to(DType::f32).reshape(Shape{bias.numel()}));
    call.writer().recent_node(in.value.name)->inputs.push_back(std::move(name));
  } else {
    out.value.name =
        call.writer().node("Add", {in.value.name, operand_beside(call, call.item(1), in.value)});
  }
  call.give(std::move(out));
}

// x, scale, shift, mean, variance.
void batch_norm(Call& call) {
  GRAFT_CHECK(!call.flag("is_training"),
              "is a norm by the batch's own statistics (is_training), on which an image's answer "
              "would depend");
  GRAFT_CHECK(call.text("data_format", "NHWC") == "NHWC", "its data_format is none of NHWC");
  const Value x = maps(call, call.item(0));
  std::vector<std::string> inputs{x.name};
  for (size_t i = 1; i < 5; ++i) {
    const Tensor& part = call.constant(i, "parameters");
    GRAFT_CHECK(part.numel() == x.dims[3], "has ", part.numel(), " parameters for ", x.dims[3],
                " channels");
    inputs.push_back(weight_name(call, i, part.to(DType::f32).reshape(Shape{part.numel()})));
  }
  Value out = x;
  out.name = call.writer().node("BatchNormalization", inputs,
                                {keras::real("epsilon", call.real("epsilon", 1e-4))});
  call.give(out);
}

void resize(Call& call, bool linear) {
  const Value x = maps(call, call.item(0));
  const Dims to = call.integers(1, "size");
  GRAFT_CHECK(to.size() == 2 && to[0] >= 1 && to[0] <= 8192 && to[1] >= 1 && to[1] <= 8192,
              "resizes to ", join(to));
  const bool corners = call.flag("align_corners"), half = call.flag("half_pixel_centers");
  call.writer().needs_opset(18);
  Attributes all{ints("axes", {2, 3}), text("mode", linear ? "linear" : "nearest"),
                 text("coordinate_transformation_mode", corners ? "align_corners"
                                                        : half  ? "half_pixel"
                                                                : "asymmetric")};
  if (!linear) all.push_back(text("nearest_mode", corners || half ? "round_prefer_ceil" : "floor"));
  const std::string sizes = call.writer().numbers(to);
  call.give(with_maps(x, call.writer().node("Resize", {x.name, "", "", sizes}, all), to[0], to[1],
                      x.dims[3]));
}
void resize_linear(Call& call) { resize(call, true); }
void resize_nearest(Call& call) { resize(call, false); }

// The first half of a dilated convolution: TensorFlow takes images apart into block * block ones.
void space_to_batch(Call& call) {
  const Dims block = call.integers(1, "block"), pads = call.integers(2, "paddings");
  const auto in_range = [](int64_t n) { return n >= 0 && n <= kMostWindow; };
  GRAFT_CHECK(block.size() == 2 && pads.size() == 4 && block[0] >= 1 && block[1] >= 1 &&
                  std::all_of(block.begin(), block.end(), in_range) &&
                  std::all_of(pads.begin(), pads.end(), in_range) && call.item(0).block.empty(),
              "takes apart in a way that graft does not know: blocks of ", join(block));
  Item out = call.item(0);
  GRAFT_CHECK(out.is_computed(), "takes a constant apart");
  out.block = block;
  out.block_pads = pads;
  call.give(std::move(out));
}

void batch_to_space(Call& call) {
  Item out = call.item(0);
  const Dims block = call.integers(1, "block"), crops = call.integers(2, "crops");
  GRAFT_CHECK(
      !out.block.empty() && out.block_pads.empty() && block == out.block && crops.size() == 4,
      "is no second half of a dilated convolution");
  out.block.clear();
  if (std::any_of(crops.begin(), crops.end(), [](int64_t c) { return c != 0; })) {
    Value& x = out.value;
    Dims ends;
    for (size_t axis = 0; axis < 2; ++axis) {
      const int64_t extent = x.dims[axis + 1], end = extent - crops[2 * axis + 1];
      GRAFT_CHECK(crops[2 * axis] >= 0 && crops[2 * axis + 1] >= 0 && end > crops[2 * axis],
                  "crops ", join(crops), " of ", join(x.dims));
      ends.push_back(end);
      x.dims[axis + 1] = end - crops[2 * axis];
    }
    Writer& w = call.writer();
    x.name = w.node("Slice",
                    {x.name, w.numbers({crops[0], crops[2]}), w.numbers(ends), w.numbers({2, 3})});
  }
  call.give(std::move(out));
}

void blocks(Call& call, bool to_depth) {
  const Value x = maps(call, call.item(0));
  const int64_t block = call.integer("block_size", 0);
  GRAFT_CHECK(block >= 1 && block <= 64 && call.text("data_format", "NHWC") == "NHWC",
              "its block_size is ", block);
  const int64_t square = block * block;
  GRAFT_CHECK(to_depth ? x.dims[1] % block == 0 && x.dims[2] % block == 0 : x.dims[3] % square == 0,
              "its blocks of ", block, " do not fit ", join(x.dims));
  const std::string out = call.writer().node(to_depth ? "SpaceToDepth" : "DepthToSpace", {x.name},
                                             {keras::integer("blocksize", block)});
  if (to_depth)
    call.give(with_maps(x, out, x.dims[1] / block, x.dims[2] / block, x.dims[3] * square));
  else
    call.give(with_maps(x, out, x.dims[1] * block, x.dims[2] * block, x.dims[3] / square));
}
void space_to_depth(Call& call) { blocks(call, true); }
void depth_to_space(Call& call) { blocks(call, false); }

constexpr KnownOperator kConvolutionOperators[] = {
    {"Conv2D", convolution},
    {"DepthwiseConv2dNative", depthwise_convolution},
    {"Conv2DBackpropInput", transposed_convolution},
    {"MatMul", product_with_weights},
    {"MaxPool", max_pool},
    {"AvgPool", average_pool},
    {"BiasAdd", bias_add},
    {"FusedBatchNorm", batch_norm},
    {"FusedBatchNormV2", batch_norm},
    {"FusedBatchNormV3", batch_norm},
    {"ResizeBilinear", resize_linear},
    {"ResizeNearestNeighbor", resize_nearest},
    {"SpaceToBatchND", space_to_batch},
    {"BatchToSpaceND", batch_to_space},
    {"SpaceToDepth", space_to_depth},
    {"DepthToSpace", depth_to_space},
};

}  // namespace

OperatorTable convolution_operators() { return kConvolutionOperators; }

}  // namespace graft::models::tensorflow
