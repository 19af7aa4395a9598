// What a weight file's metadata and the files beside it say of its network: class names, and how
// images enter it. Hugging Face's config.json and preprocessor_config.json, timm's pretrained_cfg,
// the names in an ONNX file's metadata.
#pragma once
#include "graft/io/weights/weights.h"
#include "graft/models/import.h"

namespace graft::models {

// Into the card what the import itself did not find in the file, and into the certificate where it
// stands. A file beside that cannot be read, or does not fit the network, is a note.
void use_file_facts(const io::WeightFile& file, Imported& imported);

}  // namespace graft::models
