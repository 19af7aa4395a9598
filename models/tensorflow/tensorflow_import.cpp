#include "graft/models/tensorflow/tensorflow_import.h"

#include <algorithm>
#include <cmath>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/core/base/sha256.h"
#include "graft/io/saved_model/model.h"
#include "graft/io/tflite/model.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/preprocess_guess.h"
#include "graft/models/tensorflow/saved_model_graph.h"
#include "graft/models/tensorflow/tflite_graph.h"

namespace graft::models {
namespace {

bool is_near(std::pair<double, double> range, double least, double most) {
  const double width = most - least;
  return std::abs(range.first - least) < 0.02 * width &&
         std::abs(range.second - most) < 0.02 * width;
}

// Where nothing in front of the first convolution tells what images are: by what the quantized
// input can hold, else pixels of 0 to 1.
void guess_pixels(std::pair<double, double> range, ModelCard& card, Certificate& certificate) {
  io::Preprocess& p = card.preprocess;
  const bool raw = is_near(range, 0, 255) || p.scale == 1, symmetric = is_near(range, -1, 1),
             unit = is_near(range, 0, 1);
  p.bgr = false;
  p.scale = raw ? 1 : symmetric ? 1 / 127.5 : 1.0 / 255;
  std::fill(p.mean.begin(), p.mean.end(), symmetric ? 1 : 0);
  std::fill(p.deviation.begin(), p.deviation.end(), 1);
  certificate.preprocess = {
      text_of(p), false,
      raw || symmetric || unit
          ? str("the model's ",
                range == std::pair<double, double>{0, 0}
                    ? "first norm shows such pixels"
                    : str("quantized input holds ", range.first, " to ", range.second))
          : "the usual one of TensorFlow's own networks; nothing in the model says it"};
}

}  // namespace

bool is_tensorflow(const io::WeightFile& file) {
  return file.format == "tflite" || file.format == "saved_model";
}

std::string sha256_of_source(const io::WeightFile& file) {
  if (file.format != "saved_model") return sha256_of_file(file.path);
  const std::string variables = join_path(parent_path(file.path), "variables"),
                    index = join_path(variables, "variables.index");
  Sha256 sum;
  sum.update(sha256_of_file(file.path));
  if (file_system().exists(index)) sum.update(sha256_of_file(index));
  return sum.hex();
}

namespace {

Imported import_saved_model(const io::WeightFile& file, const ImportOptions& options) {
  const io::saved_model::Model model = io::saved_model::read_model(parent_path(file.path));
  Imported imported = import_graph(onnx_graph(model), options, FoldedNorms::none);
  imported.certificate.naming =
      str("a SavedModel of TensorFlow ", model.tensorflow_version.substr(0, 40), ", signature '",
          model.signature, "', ", model.functions.size(),
          " functions written out: ", imported.certificate.naming);
  if (!imported.certificate.preprocess.known)
    guess_pixels({0, 0}, imported.model.card, imported.certificate);
  return imported;
}

}  // namespace

Imported import_tensorflow(const io::WeightFile& file, const ImportOptions& options) {
  if (file.format == "saved_model") return import_saved_model(file, options);
  const io::tflite::Model model = io::tflite::read_model(*file_system().open_read(file.path));
  Imported imported = import_graph(onnx_graph(model), options, FoldedNorms::none);
  imported.certificate.naming =
      str("a TensorFlow Lite model", model.description.empty() ? "" : " (",
          model.description.substr(0, 80), model.description.empty() ? "" : ")", " of ",
          model.operators.size(), " operators: ", imported.certificate.naming);
  if (!imported.certificate.preprocess.known)
    guess_pixels(input_range(model), imported.model.card, imported.certificate);
  return imported;
}

}  // namespace graft::models
