// Network: what a training verb trains, with what is known about it; and the model file it becomes.
#pragma once
#include <string>

#include "graft/api/image_doubts.h"
#include "graft/api/predictor.h"
#include "graft/api/trained_model.h"
#include "graft/io/datasets/dataset.h"
#include "graft/models/import.h"
#include "graft/tools/source_flags.h"
#include "graft/train/features.h"

namespace graft::tools {

struct Network {
  models::Model model;
  std::string certificate{};     // the import's words; "" from random weights
  bool head_is_trained = false;  // the file's own head was kept
};

// The weights that predict, evaluate, features and bench take: a model of graft, or any file that
// imports. What the import says goes to stderr unless the file is a model of graft.
models::Imported load_any(const std::string& path, const SourceFlags& source,
                          models::ImportOptions options = {});

// A network with a head, for verbs that need its answers. bad_input otherwise, saying what became
// of the file's own head.
models::Imported load_with_head(const std::string& path, const SourceFlags& source);

// "repeat", "sum-conv1" as --channels has them.
models::ChannelRule channel_rule(const std::string& name);
inline constexpr const char* kPrecisionHelp =
    "fp32; bf16: faster where the processor multiplies bfloat16, three digits exact; fp16: on a "
    "CUDA device; int8: for a model calibrated by graft evaluate --calibrate or graft finetune "
    "--int8";
// The card's ranges for int8, nothing for another precision. bad_input when it has none.
Calibration calibration_for(const std::string& precision, const models::ModelCard& card,
                            const std::string& path);
inline constexpr const char* kLeastConfidenceHelp =
    "Below this probability the answer is \"don't know\", whatever thresholds the model has "
    "(default: the model's, or none)";
inline constexpr const char* kStrictHelp =
    "Exit code 3, not a note alone, when answers are not finite numbers (NaN, infinity)";
// Says on stderr that the network's answers to some of `all` images are not finite numbers; the
// exit code: 0, or with `strict` 3.
int say_not_finite(int64_t images, int64_t all, bool strict);

// Says on stderr why a runner could not keep to the precision asked for (PrefixRunner::refusal()).
void say_refusal(const std::string& refusal, const std::string& precision);

}  // namespace graft::tools
