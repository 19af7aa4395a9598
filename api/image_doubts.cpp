#include "graft/api/image_doubts.h"

#include <algorithm>
#include <optional>

#include "graft/core/base/error.h"
#include "graft/core/tensor/allocation_limit.h"
#include "graft/io/decode_gate.h"
#include "graft/models/image_check.h"
#include "graft/train/loader.h"
#include "graft/train/memory_plan.h"

namespace graft {

void check_on_images(models::Model& model, const std::shared_ptr<const io::Dataset>& dataset,
                     models::Certificate& certificate, int64_t ram) {
  if (certificate.naming == models::kGraftNaming || !dataset || dataset->size() == 0) return;
  if (!model.card.preprocess.input.empty()) return;  // what it is compared with is of photos
  const io::Preprocess& preprocess = model.card.preprocess;
  const int64_t wanted =
      std::min(models::images_to_check(std::max(preprocess.size, preprocess.input_width())),
               dataset->size());
  std::vector<int64_t> spread;  // data sets often stand in the order of their classes
  for (int64_t i = 0; i < wanted; ++i) spread.push_back(i * dataset->size() / wanted);
  const std::shared_ptr<const io::Dataset> images = io::subset(dataset, spread);
  train::LoaderOptions options{.batch = wanted, .cache_bytes = 0};
  std::optional<ScopedAllocationLimit> limit;
  if (ram > 0) {
    int64_t weights = 0;
    for (const auto& [name, tensor] : model.network->state_dict()) weights += tensor.bytes();
    options.gate = train::plan_decoding(ram, weights, 0, {images.get()}).gate;
    limit.emplace(train::decoding_bytes_at_most(ram, weights), LimitedBytes::held);
  }
  try {
    train::BatchLoader loader(images, preprocess, options);
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

}  // namespace graft
