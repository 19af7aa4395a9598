#include "graft/train/stage_features.h"

#include <algorithm>
#include <cstring>

#include "graft/core/autograd/record.h"
#include "graft/core/base/error.h"
#include "graft/core/tensor/device_backend.h"
#include "graft/layers/functional/pool.h"

namespace graft::train {
namespace {

// Rows of batches, one behind another, in a tensor for all samples.
void put_rows(Tensor& all, const Tensor& batch, int64_t first, int64_t total) {
  const Tensor rows = to_device(batch, {}).to(DType::f32).to(MemoryFormat::contiguous);
  if (!all.defined()) all = Tensor::empty(rows.shape().with(0, total));
  GRAFT_ASSERT(all.numel() / all.size(0) == rows.numel() / rows.size(0));
  std::memcpy(all.mutable_data<float>() + first * (all.numel() / all.size(0)), rows.data<float>(),
              static_cast<size_t>(rows.numel()) * sizeof(float));
}

bool is_map(const Tensor& values) {
  return values.rank() == 4 && values.size(2) * values.size(3) > 1;
}

}  // namespace

Tensor pooled_features(const Tensor& values) {
  GRAFT_CHECK(values.rank() >= 2, "features ", values.shape(), ", expected [N,C] or maps");
  if (values.rank() == 2) return values;
  const Tensor means = functional::global_average_pool(values);
  return means.to(MemoryFormat::contiguous).reshape({values.size(0), values.size(1)});
}

StageFeatures extract_stage_features(StagedNetwork& network, BatchLoader& loader,
                                     const StagePlan& plan,
                                     const std::function<void(int64_t, int64_t)>& progress) {
  GRAFT_CHECK(
      !plan.ends.empty() && std::is_sorted(plan.ends.begin(), plan.ends.end()) &&
          plan.ends.back() <= network.stages().size() &&
          (plan.answers_at == 0 ||
           (plan.answers_at >= plan.ends.back() && plan.answers_at <= network.stages().size())),
      "features of stages: ", plan.ends.size(), " ends in ", network.stages().size(), " stages");
  const NoGradGuard no_grad;
  network.train(false);
  StageFeatures result;
  result.features.resize(plan.ends.size());
  const int64_t total = loader.samples();
  int64_t done = 0;
  loader.start(0);
  for (Batch batch; loader.next(batch);) {
    Tensor values = to_device(batch.x, network.device());
    const int64_t rows = values.size(0);
    size_t at = 0;
    for (size_t i = 0; i < plan.ends.size(); ++i) {
      values = network.forward_stages(values, at, plan.ends[i]);
      at = plan.ends[i];
      put_rows(result.features[i], pooled_features(values), done, total);
    }
    if (plan.answers_at > 0)
      put_rows(result.answers, network.forward_stages(values, at, plan.answers_at), done, total);
    done += rows;
    if (progress) progress(done, total);
  }
  GRAFT_ASSERT(done == total);
  return result;
}

std::vector<size_t> ends_of_maps(StagedNetwork& network, const Tensor& image) {
  const NoGradGuard no_grad;
  network.train(false);
  std::vector<size_t> ends;
  Tensor values = to_device(image, network.device());
  bool was_map = false;
  int64_t pixels = 0;
  for (size_t stage = 0; stage < network.stages().size(); ++stage) {
    values = network.forward_stages(values, stage, stage + 1);
    const bool map = is_map(values);
    const int64_t size = map ? values.size(2) * values.size(3) : 0;
    if (was_map && size != pixels) ends.push_back(stage);
    was_map = map;
    pixels = size;
  }
  if (was_map) ends.push_back(network.stages().size());
  return ends;
}

}  // namespace graft::train
