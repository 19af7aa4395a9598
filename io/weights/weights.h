// Weight files as named tensors: safetensors, NPZ, PyTorch (zip, legacy pickle, export archives),
// ONNX initializers, MXNet, TensorFlow Lite, SavedModels.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "graft/core/base/export.h"
#include "graft/core/tensor/state_dict.h"
#include "graft/io/weights/limits.h"

namespace graft::io {

struct WeightFile {
  std::string path{};
  // "safetensors" "npz" "pytorch-zip" "pytorch-legacy" "pickle" "onnx" "mxnet" "pt2" "tflite"
  // "saved_model"
  std::string format{};
  StateDict
      tensors;  // contiguous, in the file's order; tied tensors of one PyTorch file share storage
  std::map<std::string, std::string> metadata{};  // safetensors' __metadata__ without checksums,
                                                  // ONNX's metadata_props and producer
  // Prefixes under which a state dict stands, the likely one first: {""} for a plain file,
  // {"state_dict."} or
  // {"model_ema.", "model."} for a training checkpoint (whose other tensors, such as
  // "optimizer.state.0.exp_avg", are in `tensors` too).
  std::vector<std::string> roots{};
  std::vector<std::string>
      notes{};  // sentences for the user: types widened, a "module." prefix, values left out
};

// Reads any of the formats, recognised by content; a Hugging Face folder, its index and each of its
// shards (known by their names) are all of its shards; a SavedModel is its folder. bad_input, in
// one sentence with the path, for anything else and for damaged or hostile files; no code in a file
// is ever run. Integer types graft does not have are widened without loss (int16, uint16 -> int32;
// uint32, uint64 -> int64) and noted; others are refused by name. Memory: the tensors, plus at most
// the largest tensor; for ONNX the file too; and limits.h's budget for structure. Deflated NPZ
// members may hold up to 1,100 times their size in the file.
GRAFT_API WeightFile read_weights(const std::string& path, const ReadLimits& limits = {});

// Writes a safetensors file (https://github.com/huggingface/safetensors#format), old content or
// new, never half. The bytes depend on tensors and metadata only: keys are sorted, data is ordered
// by falling element size, then name, so that every tensor is aligned to its element. channels_last
// tensors are written in NCHW order. The metadata gets a checksum of itself and of each tensor
// (tensor_sums.h), which read_weights() verifies where a file has them.
GRAFT_API void write_safetensors(const std::string& path, const StateDict& tensors,
                                 const std::map<std::string, std::string>& metadata = {});

// Writes an uncompressed NPZ file that numpy.load opens, with fixed time stamps; the rest as above.
// bfloat16, which NPY has no name for, is refused.
GRAFT_API void write_npz(const std::string& path, const StateDict& tensors);
// One array as .npy; the rest as above.
GRAFT_API void write_npy(const std::string& path, const Tensor& tensor);

}  // namespace graft::io
