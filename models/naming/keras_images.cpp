#include "graft/models/naming/keras_images.h"

#include <cmath>

#include "graft/core/base/error.h"
#include "graft/models/preprocess_guess.h"

namespace graft::models {
namespace {

// Number `c` of a list of one or three.
double number_at(const std::vector<double>& list, size_t c, double otherwise) {
  return list.empty() ? otherwise : list[list.size() == 1 ? 0 : std::min(c, list.size() - 1)];
}

std::vector<double> stored(const KerasModel& model, const std::string& layer, const char* part) {
  for (const KerasTensor& t : model.tensors)
    if (t.layer == layer && t.part == part) return t.tensor.to_doubles();
  return {};
}

void take_side(int64_t height, int64_t width, Renamed& renamed) {
  GRAFT_CHECK(height >= 1 && height <= 8192 && width >= 1 && width <= 8192,
              "the model takes images of ", height, "x", width, " pixels");
  renamed.image_size = height;
  renamed.image_width = width;
}

void take_size(const KerasLayer& layer, Renamed& renamed) {
  if (layer.input_shape.size() == 3 && layer.input_shape[0] > 0)
    take_side(layer.input_shape[0],
              layer.input_shape[1] > 0 ? layer.input_shape[1] : layer.input_shape[0], renamed);
}

}  // namespace

bool imply_geometry(const KerasLayer& layer, const std::string& name, Renamed& renamed) {
  if (layer.kind == "Resizing") {
    take_side(layer.height, layer.width, renamed);
    renamed.image_fit = layer.crop_to_aspect_ratio  ? "crop"
                        : layer.pad_to_aspect_ratio ? "pad"
                                                    : "squash";
    renamed.resize_to = 0;
    if (!layer.interpolation.empty() && layer.interpolation != "bilinear")
      renamed.notes.push_back(str("the layer '", name, "' resizes images by ", layer.interpolation,
                                  " interpolation; graft's is bilinear"));
    return true;
  }
  if (layer.kind != "CenterCrop") return false;
  const int64_t height = renamed.image_size, width = renamed.image_width;
  take_side(layer.height, layer.width, renamed);
  // The shorter side of what the crop lies in, in its own proportions.
  const int64_t shorter = std::min(layer.height, layer.width);
  renamed.resize_to =
      std::max(shorter, std::min(shorter * height / layer.height, shorter * width / layer.width));
  if (renamed.image_fit == "squash" || renamed.image_fit == "pad")
    renamed.notes.push_back(str("images are cropped as the layer '", name,
                                "' says, in their own proportions: the ", renamed.image_fit,
                                " before it is left out"));
  renamed.image_fit = "crop";
  return true;
}

void apply_geometry(const Renamed& renamed, io::Preprocess& p) {
  if (renamed.image_size <= 0) return;
  p.set_size(renamed.image_size, renamed.image_width);
  if (renamed.image_width != renamed.image_size) p.set_fit("squash");
  if (!renamed.image_fit.empty()) p.set_fit(renamed.image_fit);
  if (renamed.resize_to > 0) p.resize_to = renamed.resize_to;
}

bool is_normalization(const KerasModel& model, const KerasTensor& tensor) {
  const auto layer = model.layers.find(tensor.layer);
  return layer != model.layers.end() && layer->second.kind == "Normalization";
}

void imply_images(const KerasModel& model, Renamed& renamed) {
  double factor[3] = {1, 1, 1}, shift[3] = {0, 0, 0};
  std::vector<std::string> read, augmenting, resizing;
  for (const std::string& name : model.order) {
    const auto found = model.layers.find(name);
    if (found == model.layers.end()) break;  // a model within: the network
    const KerasLayer& layer = found->second;
    const std::string& kind = layer.kind;
    take_size(layer, renamed);
    if (kind == "InputLayer") continue;
    if (kind.starts_with("Random") || kind == "GaussianNoise") {
      augmenting.push_back(name);
      continue;
    }
    if (imply_geometry(layer, name, renamed)) {
      resizing.push_back(str(kind, " '", name, "'"));
      continue;
    }
    if (kind == "Rescaling") {
      for (size_t c = 0; c < 3; ++c) {
        const double by = number_at(layer.factor, c, 1);
        factor[c] *= by;
        shift[c] = shift[c] * by + number_at(layer.offset, c, 0);
      }
    } else if (kind == "Normalization") {
      const auto mean = layer.mean.empty() ? stored(model, name, "mean") : layer.mean,
                 variance =
                     layer.variance.empty() ? stored(model, name, "variance") : layer.variance;
      GRAFT_CHECK(!mean.empty() && !variance.empty(), "the layer '", name,
                  "' normalizes images by numbers that are not in the file");
      for (size_t c = 0; c < 3; ++c) {
        const double deviation = std::max(std::sqrt(number_at(variance, c, 1)), 1e-7);
        factor[c] /= deviation;
        shift[c] = (shift[c] - number_at(mean, c, 0)) / deviation;
      }
    } else {
      break;
    }
    read.push_back(str(kind, " '", name, "'"));
  }
  if (!augmenting.empty())
    renamed.notes.push_back(str("layers that vary images in training are left out: ",
                                join(augmenting), "; --augment has graft's own"));
  if (!resizing.empty())
    renamed.notes.push_back(str("images are resized as the model's own ", join(resizing), " says, ",
                                renamed.image_fit, ", antialiased as graft does"));
  if (read.empty()) return;
  io::Preprocess p = renamed.image_size > 0
                         ? usual_geometry({renamed.image_size, renamed.image_width})
                         : io::imagenet_preprocess();
  p.scale = 1;
  for (size_t c = 0; c < 3; ++c) {
    p.mean[c] = (0 - shift[c]) / factor[c];  // not -0
    p.deviation[c] = 1 / factor[c];
  }
  p.validate();
  renamed.preprocess = {p, true, "the model's own " + join(read)};
  renamed.preprocess_text = text_of(p);
}

}  // namespace graft::models
