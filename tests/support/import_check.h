// Imports as users make them, each with the check that an image's answer does not depend on the
// images beside it.
#pragma once
#include <string>

#include "graft/models/graph/graph_import.h"
#include "graft/models/import.h"

namespace graft::test {

// expect_images_answered_alone with images of the size that the network takes, small where any
// will do.
void expect_images_answered_alone(const models::Imported& imported);

// import_weights and import_graph, checked as above.
models::Imported import_checked(const std::string& path, const models::ImportOptions& options = {});
models::Imported import_checked(const io::onnx::Model& model,
                                const models::ImportOptions& options = {});

}  // namespace graft::test
