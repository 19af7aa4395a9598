// Dnn on cuDNN's C backend API.
#pragma once
#include "graft/kernels/cuda/cudnn/dnn.h"

namespace graft::cudnn {

// For a GPU of this machine, which is this thread's current one. failed: cuDNN is not there or does
// not take it; the message says why.
gpu::Status open_cudnn(int device, std::unique_ptr<Dnn>& dnn);

// For a GPU that is described in cuDNN's JSON and need not be there: plans can be built, saved and
// restored, not run.
gpu::Status open_cudnn_described(const std::string& device_json, std::unique_ptr<Dnn>& dnn);

// cuDNN in a few words, for graft doctor: its version, or why there is none.
std::string describe_cudnn();

}  // namespace graft::cudnn
