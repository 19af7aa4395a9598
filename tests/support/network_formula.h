// Weights, images and tensor summaries as a formula of (name, index):
// tests/data/networks/make_networks.py computes the same bits, so that whole networks are compared
// with PyTorch without storing weights or gradients.
#pragma once
#include <array>
#include <span>
#include <string>
#include <vector>

#include "graft/layers/modules/module.h"

namespace graft::test {

// splitmix64 of FNV-1a(name) + index * the golden ratio.
class NameHash {
 public:
  explicit NameHash(std::string_view name);
  uint64_t operator()(int64_t index) const;
  double centred(int64_t index) const;  // uniform in [-1, 1), a multiple of 2^-23

 private:
  uint64_t start_;
};

// Fills every floating parameter and buffer from its path: He-like filters, batch norms near
// neutral.
void fill_by_formula(const Module& module);
// float32, uniform in [-2, 2).
Tensor formula_image(std::string_view name, const Shape& shape);
// (7 i + 3) mod classes.
Tensor formula_labels(int64_t count, int64_t classes);

// A tensor's norm, eight projections on random signs, and its first, middle and last element.
struct Summary {
  static constexpr int size = 12;
  std::array<double, size> values{};

  static Summary of(std::string_view name, const Tensor& tensor);
  double norm() const { return values[0]; }
};
// An estimate (within some 25 %) of |a - b| / |b| for the tensors behind the summaries.
double relative_distance(const Summary& a, const Summary& b);

// Compares tensors with the rows [n, 12] of a stored table, in order: each within `tolerance` in
// relative L2.
void expect_summaries(const std::vector<NamedTensor>& tensors, const Tensor& rows, double tolerance,
                      const std::string& what);

}  // namespace graft::test
