#include "graft/tools/network.h"

#include "graft/core/base/error.h"
#include "graft/io/datasets/class_names.h"
#include "graft/models/folded_norms.h"
#include "graft/models/graph/graph_import.h"
#include "graft/models/image_check.h"
#include "graft/tools/output.h"
#include "graft/train/loader.h"

namespace graft::tools {
void give_head(Network& made, const io::OpenedData& data, uint64_t seed) {
  models::replace_head(made.model, std::ssize(data.classes), seed);
  made.model.card.labels = data.classes;
  made.model.card.int8 = {};  // if any, of the weights as they were
}

bool has_head_for(const models::Model& model, const io::OpenedData& data) {
  const std::vector<std::string>& labels = model.card.labels;
  if (labels.size() != data.classes.size() ||
      models::classes_of(model.card.architecture) != std::ssize(labels))
    return false;
  const auto places = io::matched_classes(data.classes, labels);
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i] != static_cast<int64_t>(i)) return false;
  return true;
}

void save_network(const std::string& path, const Network& made, const io::OpenedData& data,
                  const train::Recipe& recipe) {
  models::ModelCard card = made.model.card;
  card.neutral_norms = models::still_neutral(*made.model.network, card.neutral_norms);
  card.preprocess_known = true;  // whatever the source used: this model was trained with it
  card.lineage.data_sha256 = data.manifest_sha256;
  card.lineage.recipe = recipe.to_json();
  card.lineage.graft_version = GRAFT_VERSION;
  models::save_model(path, *made.model.network, card);
}

models::Imported load_any(const std::string& path, models::ImportOptions options) {
  options.examine = false;
  models::Imported imported = models::import_weights(path, options);
  if (imported.certificate.naming != models::kGraftNaming) say(imported.certificate.to_text());
  return imported;
}

void check_on_images(models::Model& model, const std::shared_ptr<const io::Dataset>& dataset,
                     models::Certificate& certificate) {
  if (certificate.naming == models::kGraftNaming || !dataset || dataset->size() == 0) return;
  const io::Preprocess& preprocess = model.card.preprocess;
  const int64_t wanted = std::min(models::images_to_check(preprocess.size), dataset->size());
  std::vector<int64_t> spread;  // data sets often stand in the order of their classes
  for (int64_t i = 0; i < wanted; ++i) spread.push_back(i * dataset->size() / wanted);
  try {
    train::BatchLoader loader(io::subset(dataset, spread), preprocess, {.batch = wanted});
    loader.start(0);
    train::Batch batch;
    if (!loader.next(batch)) return;
    const models::ImageCheck check =
        models::check_with_images(*model.network, model.card.neutral_norms, batch.x);
    certificate.images = check.to_text();
    certificate.doubts.insert(certificate.doubts.end(), check.doubts.begin(), check.doubts.end());
  } catch (const Error& error) {
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

DType precision_named(const std::string& name) {
  return name == "bf16" ? DType::bf16 : name == "fp16" ? DType::f16 : DType::f32;
}

}  // namespace graft::tools
