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

void take_size(const KerasLayer& layer, Renamed& renamed) {
  if (layer.input_shape.size() != 3 || layer.input_shape[0] <= 0) return;
  GRAFT_CHECK(layer.input_shape[0] == layer.input_shape[1], "the model takes images of ",
              layer.input_shape[0], "x", layer.input_shape[1], "; graft prepares square ones");
  GRAFT_CHECK(layer.input_shape[0] <= 8192, "the model takes images of ", layer.input_shape[0],
              " pixels");
  renamed.image_size = layer.input_shape[0];
}

}  // namespace

bool is_normalization(const KerasModel& model, const KerasTensor& tensor) {
  const auto layer = model.layers.find(tensor.layer);
  return layer != model.layers.end() && layer->second.kind == "Normalization";
}

void imply_images(const KerasModel& model, Renamed& renamed) {
  double factor[3] = {1, 1, 1}, shift[3] = {0, 0, 0};
  std::vector<std::string> read, augmenting;
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
  if (read.empty()) return;
  io::Preprocess p = io::imagenet_preprocess(renamed.image_size > 0 ? renamed.image_size : 224);
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
