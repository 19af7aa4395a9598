// Between a model's card and a task: what a model is for, a head for a task, the card of what was
// trained.
#pragma once
#include <memory>
#include <string>

#include "graft/io/datasets/dataset.h"
#include "graft/models/import.h"
#include "graft/train/recipe.h"
#include "graft/train/tasks/task.h"

namespace graft {

// What the model's card says of its head's task.
GRAFT_API train::TaskCard task_card_of(const models::ModelCard& card);
// What a model's head is for; it has one.
GRAFT_API std::shared_ptr<const train::Task> task_of(const models::Model& model);
// The same that answers from a probability of `least` on (Task::answering_from); 0: as the card has
// it. bad_input for a task whose answers are not of that kind.
GRAFT_API std::shared_ptr<const train::Task> task_answering_from(const models::Model& model,
                                                                 double least);
// A weight file of any format, to be run: a model of graft is taken at its word. bad_input as
// import_weights().
GRAFT_API models::Imported load_any(const std::string& path, models::ImportOptions options = {});
// Why a model without a head that graft runs gives no answers; "" for one that has such a head.
GRAFT_API std::string headless_reason(const models::Imported& imported);

// The network with a head for the task, initialised from the seed.
GRAFT_API void give_head(models::Model& model, const train::Task& task, uint64_t seed);
// Keeps the model's own head where it is one for the task, and with it what its outputs mean; else,
// and without `keep`, the model is given a new one. Whether the head was kept.
GRAFT_API bool keep_or_give_head(models::Model& model, train::Task& task, bool keep, uint64_t seed);

// The card of the model that a training on these data made: what it is for, that its preprocessing
// is known, where it came from.
GRAFT_API models::ModelCard trained_card(const models::Model& model, const train::Task& task,
                                         const io::OpenedData& data, const train::Recipe& recipe);
// What a run's checkpoint must match beside the recipe (train::FitOptions::identity).
GRAFT_API std::string run_identity(const models::ModelCard& card, const io::OpenedData& data);

}  // namespace graft
