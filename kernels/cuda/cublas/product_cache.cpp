#include "graft/kernels/cuda/cublas/product_cache.h"

#include "graft/core/base/environment.h"
#include "graft/core/base/log.h"
#include "graft/core/tensor/tensor.h"

namespace graft::cublas {

ProductRules ProductCache::rules_from_environment() {
  return {.tf32 = environment("GRAFT_CUDA_TF32") == "1"};
}

ProductCache::ProductCache(gpu::Device& device, const ProductRules& rules)
    : device_(device), rules_(rules) {
  const gpu::Status status = device.driver().open_blas(device.id().index, blas_);
  device.note(status);
  device.require_alive();
  if (status.ok()) return;
  blas_.reset();
  why_ = status.message;
  log("cublas", device.id(), ": ", why_);
}

std::optional<Choice> ProductCache::find(const Product& product) {
  if (!blas_) return std::nullopt;
  device_.require_alive();
  device_.make_current();
  const std::lock_guard lock(mutex_);
  if (const auto found = choices_.find(product); found != choices_.end()) return found->second;
  Choice choice;
  const gpu::Status status = blas_->choose(product, rules_, choice);
  device_.note(status);
  device_.require_alive();
  if (!status.ok()) log("cublas", product.text(), ": ", status.message);
  if (choices_.size() >= kMostChoices) choices_.clear();  // asked anew: the same answers
  return choices_.emplace(product, status.ok() ? std::optional(choice) : std::nullopt)
      .first->second;
}

void ProductCache::run(const Product& product, const Choice& choice, const char* name,
                       const ProductOperands& operands) {
  Tensor workspace;
  if (choice.workspace > 0)
    workspace = Tensor::empty({choice.workspace}, {.dtype = DType::u8, .device = device_.id()});
  device_.queue(name, [&](gpu::StreamId stream) {
    return blas_->multiply(product, rules_, choice, operands,
                           workspace.defined() ? workspace.mutable_raw() : nullptr, stream);
  });
}

}  // namespace graft::cublas
