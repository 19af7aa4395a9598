// A head of the user's own: two layers in place of one.
#pragma once
#include "graft/layers/functional/functional.h"
#include "graft/layers/modules/headed_network.h"
#include "graft/layers/modules/linear.h"
#include "graft/layers/modules/sequential.h"
#include "graft/models/initialization.h"

inline graft::HeadedNetwork with_two_layers(std::shared_ptr<graft::StagedNetwork> body,
                                            int64_t features, int64_t classes) {
  const auto head = std::make_shared<graft::Sequential>();
  head->append(std::make_shared<graft::Linear>(features, 32));
  head->append(std::make_shared<graft::Function>(graft::functional::relu));
  head->append(std::make_shared<graft::Linear>(32, classes));
  graft::models::initialize(*head, 0);
  return {std::move(body), head};
}
