#include "graft/api/trained_model.h"

#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/models/folded_norms.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/segmentation/segmentation.h"
#include "graft/train/tasks/table.h"

namespace graft {
namespace {

void put_task(models::ModelCard& card, const train::TaskCard& task) {
  card.task = task.json;
  card.labels = task.names;
  card.activation = task.sigmoid ? models::Activation::sigmoid : models::Activation::softmax;
}

}  // namespace

train::TaskCard task_card_of(const models::ModelCard& card) {
  return {.json = card.task,
          .names = card.labels,
          .outputs = models::classes_of(card.architecture),
          .sigmoid = card.activation == models::Activation::sigmoid};
}

std::shared_ptr<const train::Task> task_of(const models::Model& model) {
  return train::task_of_card(task_card_of(model.card));
}

std::shared_ptr<const train::Task> task_answering_from(const models::Model& model, double least) {
  std::shared_ptr<const train::Task> task = task_of(model);
  if (!(least > 0)) return task;
  const std::string name = task->name();
  task = task->answering_from(least);
  GRAFT_CHECK(task, "least confidence: is for tasks classify and multilabel; this model's is ",
              name);
  return task;
}

models::Imported load_any(const std::string& path, models::ImportOptions options) {
  options.examine = false;
  return models::import_weights(path, options);
}

std::string headless_reason(const models::Imported& imported) {
  if (task_card_of(imported.model.card).outputs > 0) return "";
  const std::vector<std::string>& unused = imported.certificate.unused;
  if (unused.empty()) return "has no head; graft finetune gives it one";
  return str("its own head, ", unused.size(), " tensors from ", unused[0],
             ", is none that graft runs; graft finetune gives it one");
}

void give_head(models::Model& model, const train::Task& task, uint64_t seed) {
  const train::HeadPlan plan = task.head();
  if (plan.decoder.empty()) {
    models::replace_head(model, plan.outputs, seed);
  } else {
    const io::Preprocess& input = model.card.preprocess;
    models::give_segmentation_head(model, {.decoder = plan.decoder,
                                           .classes = plan.outputs,
                                           .height = input.size,
                                           .width = input.input_width(),
                                           .bias = plan.bias,
                                           .seed = seed});
  }
  put_task(model.card, task.card());
  model.card.int8 = {};  // if any, of the weights as they were
}

bool keep_or_give_head(models::Model& model, train::Task& task, bool keep, uint64_t seed) {
  const bool kept = keep && task.take_head_of(task_card_of(model.card));
  if (kept)
    model.card.int8 = {};
  else
    give_head(model, task, seed);
  return kept;
}

models::ModelCard trained_card(const models::Model& model, const train::Task& task,
                               const io::OpenedData& data, const train::Recipe& recipe) {
  models::ModelCard card = model.card;
  put_task(card, task.card());
  card.neutral_norms = models::still_neutral(*model.network, card.neutral_norms);
  card.preprocess_known = true;  // whatever the source used: this model was trained with it
  card.lineage.data_sha256 = data.manifest_sha256;
  card.lineage.recipe = recipe.to_json();
  card.lineage.graft_version = GRAFT_VERSION;
  return card;
}

std::string run_identity(const models::ModelCard& card, const io::OpenedData& data) {
  return nlohmann::json{{"network", models::describe(card.architecture)},
                        {"weights", card.lineage.source_sha256},
                        {"data", data.manifest_sha256},
                        {"preprocess", nlohmann::json::parse(card.preprocess.to_json())}}
      .dump();
}

}  // namespace graft
