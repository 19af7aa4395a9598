// Every pass of every op with two tensors of chosen dtypes: which pairs its contract names, and
// what comes of those.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "graft/kernels/ops/kernel_set.h"

namespace graft::test {

struct DTypeCase {
  std::string pass;
  // Runs the pass of a set with its first tensor of dtype `a` and another of dtype `b`, on the
  // host; the result.
  std::function<Tensor(const KernelSet&, DType a, DType b)> run;
  bool (*fits)(DType a, DType b);  // the contract
  double expected;                 // the one value of all elements
};

inline constexpr DType kDTypes[] = {DType::f64, DType::f32, DType::bf16, DType::f16,    DType::i64,
                                    DType::i32, DType::i8,  DType::u8,   DType::boolean};

std::vector<DTypeCase> dtype_cases();

// Every pair that a contract does not name: the set must refuse it in the dispatcher's words.
// Returns one line a fault.
std::vector<std::string> accepted_against_the_contract(const KernelSet& set);

}  // namespace graft::test
