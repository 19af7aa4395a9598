// graft_model: what is behind the C API's handle.
#pragma once
#include <memory>
#include <string>

#include "graft/api/predictor.h"
#include "graft/capi/graft.h"

struct graft_model {
  explicit graft_model(graft::Predictor made);

  graft::Predictor predictor;
  const std::string task, network, preprocess, certificate;
};

namespace graft::capi {

PredictorOptions predictor_options(const graft_load_options* options);

}  // namespace graft::capi
