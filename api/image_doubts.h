// What the user's own images say of a network that was just imported.
#pragma once
#include <memory>

#include "graft/io/datasets/dataset.h"
#include "graft/models/import.h"

namespace graft {

// Runs images of the data set through a network just imported; what its batch norms say of them
// joins the certificate. Nothing happens for models of graft. `ram`: what the process may take, 0
// without a limit; a check that needs more is left out and said.
GRAFT_API void check_on_images(models::Model& model,
                               const std::shared_ptr<const io::Dataset>& dataset,
                               models::Certificate& certificate, int64_t ram = 0);

}  // namespace graft
