#include "graft/models/described_graph.h"

#include <span>
#include <string_view>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/saved_model/model.h"
#include "graft/io/tflite/model.h"
#include "graft/io/torch_export/archive.h"
#include "graft/models/aten/aten_graph.h"
#include "graft/models/keras/keras_graph.h"
#include "graft/models/tensorflow/saved_model_graph.h"
#include "graft/models/tensorflow/tflite_graph.h"

namespace graft::models {
namespace {

bool starts_with(File& file, std::string_view bytes) {
  std::string start(bytes.size(), '\0');
  if (file.size() < std::ssize(start)) return false;
  file.read_at(0, std::as_writable_bytes(std::span(start)));
  return start == bytes;
}

bool is_tflite(File& file) {
  std::string start(8, '\0');
  if (file.size() < std::ssize(start)) return false;
  file.read_at(0, std::as_writable_bytes(std::span(start)));
  return io::tflite::starts_as_tflite(start);
}

}  // namespace

bool is_graph_format(const std::string& format) {
  return format == "onnx" || format == "pt2" || format == "tflite" || format == "saved_model";
}

bool describes_graph(const io::WeightFile& file) {
  return is_graph_format(file.format) || keras::has_description(file);
}

io::onnx::Model read_described_graph(const io::WeightFile& file) {
  if (file.format == "pt2")
    return onnx_graph(io::read_exported_program(*file_system().open_read(file.path)));
  if (file.format == "tflite")
    return onnx_graph(io::tflite::read_model(*file_system().open_read(file.path)));
  if (file.format == "saved_model")
    return onnx_graph(io::saved_model::read_model(parent_path(file.path)));
  if (keras::has_description(file)) return keras::read_keras_graph(file).model;
  return io::onnx::read_model(file.path);
}

io::onnx::Model read_graph_file(const std::string& path) {
  const std::string folder = file_name(path) == "saved_model.pb" ? parent_path(path) : path;
  if (io::saved_model::is_saved_model(folder))
    return onnx_graph(io::saved_model::read_model(folder));
  const auto start = file_system().open_read(path);
  const bool is_zip = starts_with(*start, "PK");
  if (is_zip && io::is_export_archive(io::read_zip_directory(*start, {})))
    return onnx_graph(io::read_exported_program(*start));
  if (is_tflite(*start)) return onnx_graph(io::tflite::read_model(*start));
  if (!is_zip && !starts_with(*start, "\x89HDF")) return io::onnx::read_model(path);
  const io::WeightFile file = io::read_weights(path);
  if (!describes_graph(file))
    bad_input(path, ": a ", file.format,
              " file of weights; it does not say how its layers are connected");
  return read_described_graph(file);
}

}  // namespace graft::models
