// Convolutions, norms and dropout.
#include "graft/models/aten/aten_call.h"

namespace graft::models::aten {
namespace {

using io::onnx::integer_attribute;
using io::onnx::integers_attribute;
using io::onnx::real_attribute;

// begin of all axes, then end of all.
std::vector<int64_t> both_sides(std::vector<int64_t> pads) {
  const auto count = static_cast<std::ptrdiff_t>(pads.size());
  pads.insert(pads.end(), pads.begin(), pads.begin() + count);
  return pads;
}

Attribute text_attribute(const char* name, const std::string& value) {
  Attribute a;
  a.name = name;
  a.type = io::onnx::AttributeType::string;
  a.s = value;
  return a;
}

void convolve(AtenCall& call, bool transposed) {
  const int axes = call.rank("weight") - 2;
  if (axes < 1 || call.rank("input") != axes + 2) call.refuse("an image without a batch");
  const auto n = static_cast<size_t>(axes);
  const std::vector<int64_t> ones(n, 1), zeros(n, 0);
  std::vector<Attribute> attributes{
      integers_attribute("strides", call.integers("stride", ones, n)),
      integers_attribute("dilations", call.integers("dilation", ones, n)),
      integer_attribute("group", call.integer("groups", 1))};
  const ExportedArgument* padding = call.find("padding");
  if (padding && padding->kind == io::ExportedKind::text) {
    if (padding->texts[0] == "same")
      attributes.push_back(text_attribute("auto_pad", "SAME_UPPER"));
    else if (padding->texts[0] != "valid")
      call.refuse(str("padding ", padding->texts[0]));
    const auto strides = call.integers("stride", ones, n);
    if (padding->texts[0] == "same" && strides != ones) call.refuse("padding same with a stride");
  } else {
    attributes.push_back(
        integers_attribute("pads", both_sides(call.integers("padding", zeros, n))));
  }
  if (transposed)
    attributes.push_back(
        integers_attribute("output_padding", call.integers("output_padding", zeros, n)));
  call.finish(call.add(transposed ? "ConvTranspose" : "Conv",
                       {call.tensor("input"), call.tensor("weight"), call.optional_tensor("bias")},
                       std::move(attributes)));
}
void conv(AtenCall& call) { convolve(call, false); }
void conv_transpose(AtenCall& call) { convolve(call, true); }
void convolution(AtenCall& call) { convolve(call, call.flag("transposed")); }

// A scale and a shift of one number a channel where a norm has none.
std::string affine(AtenCall& call, const char* name, std::vector<int64_t> shape, double value) {
  const std::string given = call.optional_tensor(name);
  return given.empty() ? call.filled(call.numbers(shape), value, 7) : given;
}

// The statistics that are stored; a batch's own are graft's train mode.
void batch_norm(AtenCall& call) {
  if (!call.find("running_mean") || !call.find("running_var"))
    call.refuse(
        "a batch norm without running statistics, whose answer for an image depends on the "
        "others of its batch");
  const int64_t channels = call.size("running_mean", 0);
  if (call.flag("training")) ++call.building().trained_norms;
  const std::string weight = affine(call, "weight", {channels}, 1),
                    bias = affine(call, "bias", {channels}, 0);
  call.finish(call.add(
      "BatchNormalization",
      {call.tensor("input"), weight, bias, call.tensor("running_mean"), call.tensor("running_var")},
      {real_attribute("epsilon", call.real("eps", 1e-5)),
       real_attribute("momentum", 1 - call.real("momentum", 0.1))}));
}

void layer_norm(AtenCall& call) {
  const std::vector<int64_t> shape = call.integers("normalized_shape");
  const std::string weight = affine(call, "weight", shape, 1), bias = call.optional_tensor("bias");
  call.finish(call.add("LayerNormalization", {call.tensor("input"), weight, bias},
                       {integer_attribute("axis", -static_cast<int64_t>(shape.size())),
                        real_attribute("epsilon", call.real("eps", 1e-5))}));
}

void group_norm_of(AtenCall& call, const char* groups) {
  const int64_t channels = call.size("input", 1);
  const std::string weight = affine(call, "weight", {channels}, 1),
                    bias = affine(call, "bias", {channels}, 0);
  call.finish(call.add("GroupNormalization", {call.tensor("input"), weight, bias},
                       {integer_attribute("num_groups", call.integer(groups)),
                        real_attribute("epsilon", call.real("eps", 1e-5))}));
}
void group_norm(AtenCall& call) { group_norm_of(call, "num_groups"); }
void native_group_norm(AtenCall& call) { group_norm_of(call, "group"); }

// In place it has another name.
const char* dropped(const AtenCall& call) { return call.is_tensor("input") ? "input" : "self"; }

// Drops while graft trains, whatever mode the program was exported in.
void dropout(AtenCall& call) {
  const double ratio = call.real("p", 0.5);
  const char* input = dropped(call);
  if (ratio == 0) return call.pass(input);
  call.finish(call.add("Dropout", {call.tensor(input), call.number(ratio, 7)}));
}
void native_dropout(AtenCall& call) { dropout(call); }
void feature_dropout(AtenCall& call) {  // whole channels, which graft does not drop
  if (call.flag("train")) ++call.building().left_noise;
  call.pass(dropped(call));
}

// Random depth of a program exported in training mode: the expected value of its noise.
void bernoulli(AtenCall& call) {
  ++call.building().left_noise;
  call.finish(call.number(call.real("p", 0.5), call.result().type));
}

constexpr AtenOperator kLayers[] = {
    {"conv1d", conv},
    {"conv2d", conv},
    {"conv3d", conv},
    {"convolution", convolution},
    {"conv_transpose1d", conv_transpose},
    {"conv_transpose2d", conv_transpose},
    {"conv_transpose3d", conv_transpose},
    {"batch_norm", batch_norm},
    {"_native_batch_norm_legit_no_training", batch_norm},
    {"_native_batch_norm_legit", batch_norm},
    {"_native_batch_norm_legit_functional", batch_norm},
    {"native_batch_norm", batch_norm},
    {"_batch_norm_with_update", batch_norm},
    {"layer_norm", layer_norm},
    {"native_layer_norm", layer_norm},
    {"group_norm", group_norm},
    {"native_group_norm", native_group_norm},
    {"dropout", dropout, true},
    {"native_dropout", native_dropout},
    {"feature_dropout", feature_dropout, true},
    {"bernoulli", bernoulli},
};

}  // namespace

AtenTable aten_layers() { return kLayers; }

}  // namespace graft::models::aten
