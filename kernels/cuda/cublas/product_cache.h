// ProductCache: how cuBLASLt does each product on one device, asked once, and the runs.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "graft/kernels/cuda/cublas/blas.h"
#include "graft/kernels/cuda/gpu/device.h"

namespace graft::cublas {

class ProductCache {
 public:
  // Opens cuBLASLt for the device. Where that fails the cache is there and has no choices: why()
  // says the reason.
  ProductCache(gpu::Device& device, const ProductRules& rules);
  // GRAFT_CUDA_TF32=1: float32 may be rounded to TF32.
  static ProductRules rules_from_environment();

  bool available() const { return blas_ != nullptr; }
  const std::string& why() const { return why_; }

  // Nothing where the library has no way within the rules.
  std::optional<Choice> find(const Product& product);
  // Queues a run on the device's stream, with a workspace of the pool's.
  void run(const Product& product, const Choice& choice, const char* name,
           const ProductOperands& operands);

 private:
  static constexpr size_t kMostChoices = 4096;

  gpu::Device& device_;
  ProductRules rules_;
  std::unique_ptr<Blas> blas_;
  std::string why_;
  std::mutex mutex_;
  std::map<Product, std::optional<Choice>> choices_;
};

}  // namespace graft::cublas
