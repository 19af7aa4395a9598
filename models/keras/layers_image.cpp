// Layers that prepare images: Rescaling and Normalization are nodes of the graph, what resizes the
// image itself is the preprocessing of its card, and what varies images is left out.
#include <algorithm>
#include <cmath>

#include "graft/core/base/error.h"
#include "graft/models/keras/layers.h"
#include "graft/models/naming/keras_images.h"

namespace graft::models::keras {
namespace {

// Numbers over the last axis, or one for all, as a constant that meets the value.
std::string last_axis_numbers(LayerCall& call, const std::vector<double>& numbers) {
  const Value& in = call.in();
  const auto count = static_cast<int64_t>(numbers.size());
  GRAFT_CHECK(count == 1 || in.at(-1) < 0 || in.at(-1) == count, "has ", count,
              " numbers for an axis of ", in.at(-1));
  if (count == 1) return call.writer.number(numbers[0]);
  const Tensor row = Tensor::of(Shape{count}, numbers).to(DType::f32);
  return call.writer.constant(call.writer.meeting(in, row));
}

Value rescaling(LayerCall& call) {
  Value out = call.in();
  std::vector<double> scale = call.settings().reals("scale"),
                      offset = call.settings().reals("offset");
  const auto only = [](const std::vector<double>& list, double number) {
    return std::all_of(list.begin(), list.end(), [&](double v) { return v == number; });
  };
  if (!only(scale, 1))
    out.name = call.writer.node("Mul", {out.name, last_axis_numbers(call, scale)});
  if (!only(offset, 0))
    out.name = call.writer.node("Add", {out.name, last_axis_numbers(call, offset)});
  return out;
}

// (x - mean) / max(sqrt(variance), 1e-7) over the axes that it keeps.
Value normalization(LayerCall& call) {
  Value out = call.in();
  std::vector<int64_t> extents(out.rank(), 1), kept, axes;
  if (call.settings().has("axis"))
    for (const int64_t axis : call.settings().integers("axis", {-1}))
      axes.push_back(static_cast<int64_t>(axis_of(axis, out.rank())));
  std::sort(axes.begin(), axes.end());
  for (const int64_t axis : axes) {
    kept.push_back(out.at(axis));
    GRAFT_CHECK(kept.back() > 0, "normalizes an axis whose extent is not known");
    extents[static_cast<size_t>(axis)] = kept.back();
  }
  const int64_t count = Shape(extents).numel();
  std::vector<double> mean = call.settings().reals("mean"),
                      variance = call.settings().reals("variance");
  if (mean.empty() || variance.empty()) {
    const auto stored = [&](const char* part) { return call.take({part}, kept).to_doubles(); };
    mean = stored("mean");
    variance = stored("variance");
  }
  const auto constant = [&](const std::vector<double>& numbers) {
    if (numbers.size() == 1) return call.writer.number(numbers[0]);
    GRAFT_CHECK(std::ssize(numbers) == count, "has ", numbers.size(), " numbers for ", count);
    const Tensor t = Tensor::of(Shape(extents), numbers).to(DType::f32);
    return call.writer.constant(call.writer.meeting(out, t));
  };
  for (double& v : variance) v = std::max(std::sqrt(v), 1e-7);
  const bool invert = call.settings().flag("invert", false);
  const std::string center = constant(mean), width = constant(variance);
  Writer& w = call.writer;
  out.name = invert ? w.node("Add", {w.node("Mul", {out.name, width}), center})
                    : w.node("Div", {w.node("Sub", {out.name, center}), width});
  return out;
}

KerasLayer as_image_layer(const LayerCall& call) {
  const LayerSettings& s = call.settings();
  KerasLayer layer;
  layer.kind = call.layer.kind;
  layer.height = s.integer("height", 0);
  layer.width = s.integer("width", 0);
  layer.crop_to_aspect_ratio = s.flag("crop_to_aspect_ratio", false);
  layer.pad_to_aspect_ratio = s.flag("pad_to_aspect_ratio", false);
  layer.interpolation = s.text("interpolation", "bilinear");
  return layer;
}

Value with_sides(const LayerCall& call, Value value) {
  const bool last = call.settings().text("data_format", "channels_last") == "channels_last";
  GRAFT_CHECK(value.rank() == 4, "takes images, and is given a value of rank ", value.rank());
  value.dims[last ? 1 : 2] = call.settings().integer("height", 0);
  value.dims[last ? 2 : 3] = call.settings().integer("width", 0);
  return value;
}

// Of the image itself: its preprocessing.
Value of_image(LayerCall& call) {
  imply_geometry(as_image_layer(call), call.path.text(), call.findings.images);
  call.findings.image_steps.push_back(call.title());
  return with_sides(call, call.in());
}

Value resizing(LayerCall& call) {
  if (call.in().of_image) return of_image(call);
  const KerasLayer layer = as_image_layer(call);
  GRAFT_CHECK(!layer.crop_to_aspect_ratio && !layer.pad_to_aspect_ratio &&
                  !call.settings().flag("antialias", false) &&
                  (layer.interpolation == "bilinear" || layer.interpolation == "nearest"),
              "resizes within the model in a way that graft does not know (", layer.interpolation,
              ")");
  const Maps maps = maps_of(call, 2);
  const bool linear = layer.interpolation == "bilinear";
  GRAFT_CHECK(layer.height >= 1 && layer.height <= 8192 && layer.width >= 1 && layer.width <= 8192,
              "resizes to ", layer.height, "x", layer.width);
  // The batch and the channels stay: sizes of the last two axes alone.
  call.writer.needs_opset(18);
  const std::string sizes = call.writer.numbers({layer.height, layer.width});
  Attributes attributes{ints("axes", {2, 3}), text("mode", linear ? "linear" : "nearest"),
                        text("coordinate_transformation_mode", "half_pixel")};
  if (!linear) attributes.push_back(text("nearest_mode", "round_prefer_ceil"));
  return value_of(maps, call.writer.node("Resize", {maps.value.name, "", "", sizes}, attributes),
                  maps.channels, {layer.height, layer.width});
}

Value center_crop(LayerCall& call) {
  if (call.in().of_image) return of_image(call);
  const Maps maps = maps_of(call, 2);
  std::vector<int64_t> starts, ends,
      wanted{call.settings().integer("height", 0), call.settings().integer("width", 0)};
  for (size_t i = 0; i < 2; ++i) {
    GRAFT_CHECK(wanted[i] >= 1 && maps.extents[i] >= wanted[i], "crops ", wanted[i],
                " pixels of a map of ", maps.extents[i]);
    starts.push_back((maps.extents[i] - wanted[i]) / 2);
    ends.push_back(starts[i] + wanted[i]);
  }
  Writer& w = call.writer;
  return value_of(
      maps,
      w.node("Slice", {maps.value.name, w.numbers(starts), w.numbers(ends), w.numbers({2, 3})}),
      maps.channels, wanted);
}

Value augmentation(LayerCall& call) {
  call.findings.augmenting.push_back(call.path.names.back());
  return call.in();
}

constexpr LayerKind kImageLayers[] = {
    {"Rescaling", rescaling},
    {"Normalization", normalization},
    {"Resizing", resizing},
    {"CenterCrop", center_crop},
    {"RandomFlip", augmentation},
    {"RandomRotation", augmentation},
    {"RandomZoom", augmentation},
    {"RandomTranslation", augmentation},
    {"RandomContrast", augmentation},
    {"RandomBrightness", augmentation},
    {"RandomShear", augmentation},
    {"RandomSaturation", augmentation},
    {"RandomHue", augmentation},
    {"RandomColorJitter", augmentation},
    {"RandomColorDegeneration", augmentation},
    {"RandomGrayscale", augmentation},
    {"RandomGaussianBlur", augmentation},
    {"RandomInvert", augmentation},
    {"RandomPosterization", augmentation},
    {"RandomSharpness", augmentation},
    {"RandomErasing", augmentation},
    {"RandomElasticTransform", augmentation},
    {"RandomPerspective", augmentation},
    {"RandAugment", augmentation},
    {"AugMix", augmentation},
    {"MixUp", augmentation},
    {"CutMix", augmentation},
};

}  // namespace

LayerTable image_layers() { return kImageLayers; }

}  // namespace graft::models::keras
