// Blas: the seam to cuBLASLt. Products go in as plain data and run on a stream. Behind it stands
// the library (backend.h), and in tests a fake that computes on the host (emulator/fake_blas.h).
#pragma once
#include <array>
#include <compare>
#include <memory>
#include <string>

#include "graft/core/base/text.h"
#include "graft/core/tensor/dtype.h"
#include "graft/kernels/cuda/gpu/driver.h"

namespace graft::cublas {

// y [m,n] = a [m,k] * b [k,n] + bias [n], all row by row and of `type`; sums are float32. `count`
// such products at once.
struct Product {
  DType type = DType::f32;  // f32, bf16 or f16
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;  // a is stored as [k,m], b as [n,k]
  bool bias = false;                              // only where count is 1
  int64_t count = 1, a_stride = 0,
          b_stride =
              0;  // elements from one product's factor to the next one's; results follow each other

  auto operator<=>(const Product&) const = default;
  std::string text() const {
    return str("product ", graft::name_of(type), " ", m, "x", k, transpose_a ? "^T" : "", " * ", k,
               "x", n, transpose_b ? "^T" : "", bias ? " + bias" : "", " count ", count);
  }
};

struct ProductRules {
  bool tf32 = false;  // float32: products may be rounded to TF32
  int64_t workspace_limit = int64_t{32} << 20;
};

// How the library does a product.
struct Choice {
  std::array<uint64_t, 8> algorithm{};
  int64_t workspace = 0;  // bytes that a run needs
};

struct ProductOperands {  // on the device, each at 16 bytes
  const void *a, *b, *bias;
  void* y;
};

// Not for two threads at once.
class Blas {
 public:
  virtual ~Blas() = default;
  // The first that the library proposes within the rules. failed: none; the message says why.
  virtual gpu::Status choose(const Product& product, const ProductRules& rules, Choice& choice) = 0;
  virtual gpu::Status multiply(const Product& product, const ProductRules& rules,
                               const Choice& choice, const ProductOperands& operands,
                               void* workspace, gpu::StreamId stream) = 0;
};

}  // namespace graft::cublas
