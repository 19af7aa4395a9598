#include "graft/tools/network.h"

#include <optional>

#include "graft/core/base/error.h"
#include "graft/core/tensor/allocation_limit.h"
#include "graft/models/folded_norms.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/image_check.h"
#include "graft/models/segmentation/segmentation.h"
#include "graft/tools/output.h"
#include "graft/train/loader.h"
#include "graft/train/memory_plan.h"
#include "graft/train/tasks/table.h"

namespace graft::tools {
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

void give_head(Network& made, const train::Task& task, uint64_t seed) {
  const train::HeadPlan plan = task.head();
  if (plan.decoder.empty()) {
    models::replace_head(made.model, plan.outputs, seed);
  } else {
    const io::Preprocess& input = made.model.card.preprocess;
    models::give_segmentation_head(made.model, {.decoder = plan.decoder,
                                                .classes = plan.outputs,
                                                .height = input.size,
                                                .width = input.input_width(),
                                                .bias = plan.bias,
                                                .seed = seed});
  }
  put_task(made.model.card, task.card());
  made.model.card.int8 = {};  // if any, of the weights as they were
}

void save_network(const std::string& path, const Network& made, const train::Task& task,
                  const io::OpenedData& data, const train::Recipe& recipe) {
  models::ModelCard card = made.model.card;
  put_task(card, task.card());
  card.neutral_norms = models::still_neutral(*made.model.network, card.neutral_norms);
  card.preprocess_known = true;  // whatever the source used: this model was trained with it
  card.lineage.data_sha256 = data.manifest_sha256;
  card.lineage.recipe = recipe.to_json();
  card.lineage.graft_version = GRAFT_VERSION;
  models::save_model(path, *made.model.network, card);
}

models::Imported load_any(const std::string& path, const SourceFlags& source,
                          models::ImportOptions options) {
  options.examine = false;
  models::Imported imported = models::import_weights(path, source.options(options));
  apply_source_flags(source, imported);
  if (imported.certificate.naming != models::kGraftNaming)
    say_text(imported.certificate.to_text());
  else
    for (const std::string& note : imported.certificate.notes) say("note: ", path, ": ", note);
  return imported;
}

models::Model load_with_head(const std::string& path, const SourceFlags& source) {
  models::Imported imported = load_any(path, source);
  const std::vector<std::string>& unused = imported.certificate.unused;
  const bool has_head = task_card_of(imported.model.card).outputs > 0;
  GRAFT_CHECK(has_head || unused.empty(), path, ": its own head, ", unused.size(), " tensors from ",
              unused.empty() ? "" : unused[0],
              ", is none that graft runs; graft finetune gives it one");
  GRAFT_CHECK(has_head, path, ": has no head; graft finetune gives it one");
  return std::move(imported.model);
}

std::shared_ptr<const train::Task> task_of(const models::Model& model) {
  return train::task_of_card(task_card_of(model.card));
}

void check_on_images(models::Model& model, const std::shared_ptr<const io::Dataset>& dataset,
                     models::Certificate& certificate, int64_t ram) {
  if (certificate.naming == models::kGraftNaming || !dataset || dataset->size() == 0) return;
  const io::Preprocess& preprocess = model.card.preprocess;
  const int64_t wanted =
      std::min(models::images_to_check(std::max(preprocess.size, preprocess.input_width())),
               dataset->size());
  std::vector<int64_t> spread;  // data sets often stand in the order of their classes
  for (int64_t i = 0; i < wanted; ++i) spread.push_back(i * dataset->size() / wanted);
  train::LoaderOptions options{.batch = wanted};
  std::optional<ScopedAllocationLimit> limit;
  if (ram > 0) {
    int64_t weights = 0;
    for (const auto& [name, tensor] : model.network->state_dict()) weights += tensor.bytes();
    const int64_t left = train::decoding_bytes_at_most(ram, weights);
    options.gate = std::make_shared<io::DecodeGate>(left);
    limit.emplace(left, LimitedBytes::held);
  }
  try {
    train::BatchLoader loader(io::subset(dataset, spread), preprocess, options);
    loader.start(0);
    train::Batch batch;
    if (!loader.next(batch)) return;
    const models::ImageCheck check =
        models::check_with_images(*model.network, model.card.neutral_norms, batch.x);
    certificate.images = check.to_text();
    certificate.doubts.insert(certificate.doubts.end(), check.doubts.begin(), check.doubts.end());
  } catch (const Error& error) {
    if (limit && limit->was_reached()) {
      std::string& said = certificate.not_executed;
      said += str(said.empty() ? "" : "; ",
                  "the check with images of yours: ", "it would hold more than --ram allows");
      return;
    }
    if (error.code() == ErrorCode::resource) throw;
    certificate.notes.push_back(
        str("no images were run through the network as a check: ", error.what()));
  }
}

models::ChannelRule channel_rule(const std::string& name) {
  return name == "sum-conv1" ? models::ChannelRule::sum_conv1 : models::ChannelRule::repeat;
}

Calibration calibration_for(const std::string& precision, const models::ModelCard& card,
                            const std::string& path) {
  if (precision != "int8") return {};
  GRAFT_CHECK(!card.int8.empty(), path, ": is not calibrated for int8; graft evaluate ", path,
              " --data PATH --precision int8 --calibrate PATH --save FILE does it and keeps it");
  return card.int8;
}

void say_refusal(const train::PrefixRunner& run, const std::string& precision) {
  if (precision != "fp32" && !run.refusal().empty())
    say("note: --precision ", precision, ": this network is computed in fp32: ", run.refusal());
}

int say_not_finite(int64_t images, int64_t all, bool strict) {
  if (images == 0) return 0;
  say(strict ? "graft: " : "note: ", "the network's answers to ", images, " of ", all,
      " images are not finite numbers (NaN or infinity), so they mean nothing: its weights may be "
      "damaged, or their values outgrow the precision");
  return strict ? static_cast<int>(ErrorCode::bad_input) : 0;
}

DType precision_named(const std::string& name) {
  return name == "bf16" ? DType::bf16 : name == "fp16" ? DType::f16 : DType::f32;
}

}  // namespace graft::tools
