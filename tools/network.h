// Network: what a training verb trains, with what is known about it; and the model file it becomes.
#pragma once
#include <string>

#include "graft/io/datasets/dataset.h"
#include "graft/models/import.h"
#include "graft/tools/source_flags.h"
#include "graft/train/features.h"
#include "graft/train/recipe.h"
#include "graft/train/tasks/task.h"

namespace graft::tools {

struct Network {
  models::Model model;
  std::string certificate{};     // the import's words; "" from random weights
  bool head_is_trained = false;  // the file's own head was kept
};

// What the model's card says of its head's task.
train::TaskCard task_card_of(const models::ModelCard& card);

// The network with a head for the task, initialised from the seed.
void give_head(Network& made, const train::Task& task, uint64_t seed);

// The model file: tensors, what they are for, preprocessing, and where it came from.
void save_network(const std::string& path, const Network& made, const train::Task& task,
                  const io::OpenedData& data, const train::Recipe& recipe);

// The weights that predict, evaluate, features and bench take: a model of graft, or any file that
// imports. What the import says goes to stderr unless the file is a model of graft.
models::Imported load_any(const std::string& path, const SourceFlags& source,
                          models::ImportOptions options = {});

// A network with a head, for verbs that need its answers. bad_input otherwise, saying what became
// of the file's own head.
models::Model load_with_head(const std::string& path, const SourceFlags& source);

// What a model's head is for; it has one.
std::shared_ptr<const train::Task> task_of(const models::Model& model);

// Runs images of the data set through a network just imported; what its batch norms say of them
// joins the certificate. Nothing happens for models of graft. `ram`: what the process may take, 0
// without a limit; a check that needs more is left out and said.
void check_on_images(models::Model& model, const std::shared_ptr<const io::Dataset>& dataset,
                     models::Certificate& certificate, int64_t ram = 0);

// "repeat", "sum-conv1" as --channels has them.
models::ChannelRule channel_rule(const std::string& name);
DType precision_named(
    const std::string& name);  // bf16, fp16, else f32: int8 works between f32 values
inline constexpr const char* kPrecisionHelp =
    "fp32; bf16: faster where the processor multiplies bfloat16, three digits exact; fp16: on a "
    "CUDA device; int8: for a model calibrated by graft evaluate --calibrate or graft finetune "
    "--int8";
// The card's ranges for int8, nothing for another precision. bad_input when it has none.
Calibration calibration_for(const std::string& precision, const models::ModelCard& card,
                            const std::string& path);
inline constexpr const char* kStrictHelp =
    "Exit code 3, not a note alone, when answers are not finite numbers (NaN, infinity)";
// Says on stderr that the network's answers to some of `all` images are not finite numbers; the
// exit code: 0, or with `strict` 3.
int say_not_finite(int64_t images, int64_t all, bool strict);

// Says on stderr when a runner could not keep to the precision asked for.
void say_refusal(const train::PrefixRunner& run, const std::string& precision);

}  // namespace graft::tools
