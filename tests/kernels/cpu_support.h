// For the tests of the CPU engine: contexts of every instruction set here, one candidate at a time,
// comparisons.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "graft/core/runtime/random.h"
#include "graft/kernels/registry.h"

namespace graft::cpu_tests {

inline std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
  for (const auto set : {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512})
    if (set <= machine_instruction_set()) sets.push_back(set);
  return sets;
}

// A context that may choose only the candidate `kernel`.
inline ExecContext only(const std::string& kernel, int threads = 1,
                        InstructionSet set = machine_instruction_set()) {
  ExecContext context(threads, set);
  context.set_kernel_filter(
      [kernel](std::string_view, std::string_view name) { return name == kernel; });
  return context;
}

inline Tensor random(const Shape& shape, uint64_t seed,
                     MemoryFormat format = MemoryFormat::contiguous, DType dtype = DType::f32) {
  Tensor t = Tensor::empty(
      shape, {.dtype = dtype, .format = shape.rank() == 4 ? format : MemoryFormat::contiguous});
  CountedRandom numbers(seed, RandomPurpose::synthetic);
  fill_normal(t, 0, 1, numbers);
  return t;
}

// The largest difference relative to the largest expected magnitude (at least 0.1: inputs are of
// order one).
inline double relative_error(const Tensor& actual, const Tensor& expected) {
  const auto a = actual.to_doubles(), e = expected.to_doubles();
  double difference = 0, magnitude = 0.1;
  for (size_t i = 0; i < e.size(); ++i) {
    if (!(std::abs(a[i] - e[i]) <= 1e300)) return INFINITY;
    difference = std::max(difference, std::abs(a[i] - e[i]));
    magnitude = std::max(magnitude, std::abs(e[i]));
  }
  return difference / magnitude;
}

inline double tolerance(DType dtype) { return dtype == DType::f64 ? 1e-13 : 1e-5; }

}  // namespace graft::cpu_tests
