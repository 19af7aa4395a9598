// Weights in several files: Hugging Face's shards with the index beside them, and folders.
#pragma once
#include "graft/io/weights/weights.h"

namespace graft::io {

// The file in a folder that holds its weights: model.safetensors.index.json, model.safetensors, or
// PyTorch's pytorch_model.bin.index.json, pytorch_model.bin. bad_input for a folder without them.
std::string weights_in_folder(const std::string& folder);

// The index beside a file named as a shard ("model-00001-of-00002.safetensors"); "" for another
// name. bad_input for a shard without its index.
std::string index_of_shard(const std::string& path);

// All shards that an index names, as one file of its path. bad_input naming the shard or tensor
// that is missing, and for an index that is none.
WeightFile read_shards(const std::string& index, const ReadLimits& limits);

}  // namespace graft::io
