#include "graft/tests/support/import_check.h"

#include "graft/tests/support/batch_check.h"

namespace graft::test {
namespace {

// The height (2) or width (3) that a graph fixes; 32 where it is open, as for the networks of
// graft.
int64_t side_for(const models::Architecture& architecture, size_t axis) {
  constexpr int64_t usual = 32;
  const auto* graph = std::get_if<models::GraphConfig>(&architecture);
  if (!graph) return usual;
  const models::GraphInput& input = graph->source->inputs.at(0);
  return input.has_shape && input.dims.size() == 4 && input.dims[axis] > 0 ? input.dims[axis]
                                                                           : usual;
}

}  // namespace

void expect_images_answered_alone(const models::Imported& imported) {
  const models::Architecture& architecture = imported.model.card.architecture;
  expect_images_answered_alone(*imported.model.network, models::in_channels_of(architecture),
                               side_for(architecture, 2), side_for(architecture, 3));
}

models::Imported import_checked(const std::string& path, const models::ImportOptions& options) {
  models::Imported imported = models::import_weights(path, options);
  expect_images_answered_alone(imported);
  return imported;
}

models::Imported import_checked(const io::onnx::Model& model,
                                const models::ImportOptions& options) {
  models::Imported imported = models::import_graph(model, options);
  expect_images_answered_alone(imported);
  return imported;
}

}  // namespace graft::test
