#include "graft/models/described_graph.h"

#include <array>
#include <cstring>

#include "graft/core/base/error.h"
#include "graft/core/base/file_system.h"
#include "graft/io/torch_export/archive.h"
#include "graft/models/aten/aten_graph.h"
#include "graft/models/keras/keras_graph.h"

namespace graft::models {
namespace {

// Formats that hold a graph in one of several ways, or none: their weights are looked at first.
bool is_zip_or_hdf5(const std::string& path) {
  const auto file = file_system().open_read(path);
  std::array<std::byte, 4> start{};
  if (file->size() >= std::ssize(start)) file->read_at(0, start);
  return std::memcmp(start.data(), "PK", 2) == 0 || std::memcmp(start.data(), "\x89HDF", 4) == 0;
}

}  // namespace

bool is_graph_format(const std::string& format) { return format == "onnx" || format == "pt2"; }

bool describes_graph(const io::WeightFile& file) {
  return is_graph_format(file.format) || keras::has_description(file);
}

io::onnx::Model read_described_graph(const io::WeightFile& file) {
  if (file.format == "pt2")
    return onnx_graph(io::read_exported_program(*file_system().open_read(file.path)));
  if (keras::has_description(file)) return keras::read_keras_graph(file).model;
  return io::onnx::read_model(file.path);
}

io::onnx::Model read_graph_file(const std::string& path) {
  if (!is_zip_or_hdf5(path)) return io::onnx::read_model(path);
  const io::WeightFile file = io::read_weights(path);
  if (!describes_graph(file))
    bad_input(path, ": a ", file.format,
              " file of weights; it does not say how its layers are connected");
  return read_described_graph(file);
}

}  // namespace graft::models
