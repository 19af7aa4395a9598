// What optimizers are tested on: a weight and a bias of PyTorch's goldens, whose gradients follow
// them; and one large tensor, on which every kernel gives the same bits.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "graft/core/runtime/exec_context.h"
#include "graft/io/weights/weights.h"
#include "graft/tests/kernels/cpu_support.h"
#include "graft/train/optimizer.h"

namespace graft::train {

struct OptimizerCase {
  const char* name;
  OptimizerOptions options;
};

// tests/data/train/FILE.npz
inline const StateDict& train_goldens(const char* file) {
  static std::map<std::string, StateDict> files;
  const auto found = files.find(file);
  if (found != files.end()) return found->second;
  return files[file] = io::read_weights(str(GRAFT_TEST_DATA "/train/", file, ".npz")).tensors;
}

inline std::vector<NamedTensor> golden_parameters(DType dtype = DType::f64) {
  std::vector<NamedTensor> parameters;
  for (const char* name : {"weight", "bias"}) {
    const Tensor tensor = train_goldens("goldens").at(str("start/", name)).clone().to(dtype);
    set_requires_grad(tensor, true);
    parameters.push_back({name, tensor});
  }
  return parameters;
}

// The gradient at a weight: step by step, in the weight's type.
enum class GradientKind { straight, curved };

template <class T>
Tensor golden_gradient_of(const Tensor& weight, int64_t step, GradientKind kind) {
  Tensor grad = Tensor::empty_like(weight);
  for (int64_t i = 0; i < weight.numel(); ++i) {
    const T w = weight.data<T>()[i];
    const T of_weight = kind == GradientKind::curved ? T(0.5) * w * w - T(0.25) * w : T(0.5) * w;
    grad.mutable_data<T>()[i] = of_weight + T(0.125) * static_cast<T>(step % 4 - 1);
  }
  return grad;
}

inline Tensor golden_gradient(const Tensor& weight, int64_t step,
                              GradientKind kind = GradientKind::curved) {
  return weight.dtype() == DType::f64 ? golden_gradient_of<double>(weight, step, kind)
                                      : golden_gradient_of<float>(weight, step, kind);
}

inline void set_golden_gradients(const std::vector<NamedTensor>& parameters, int64_t step,
                                 GradientKind kind = GradientKind::curved) {
  for (const NamedTensor& p : parameters) set_grad(p.tensor, golden_gradient(p.tensor, step, kind));
}

// The rate of the fifty steps of make_recipes.py and make_large_steps.py.
inline double golden_rate(int64_t step) { return 0.02 / (1 + static_cast<double>(step) / 10); }

// relative: of values above 1.
inline void expect_values(const Tensor& actual, const Tensor& expected, double tolerance,
                          const std::string& what, bool relative = false) {
  const auto values = actual.to_doubles(), wanted = expected.to_doubles();
  ASSERT_EQ(values.size(), wanted.size()) << what;
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(values[i], wanted[i],
                tolerance * (relative ? std::max(1.0, std::abs(wanted[i])) : 1.0))
        << what << " " << i;
}

// Three steps by every implementation on every instruction set, tails included: the same bits, as
// the formulas are the same operations.
inline void expect_kernels_agree(const OptimizerCase& c, const Shape& shape) {
  const auto results = [&](ExecContext& context, DType dtype) {
    const ScopedExecContext scope(context);
    const Tensor weight = cpu_tests::random(shape, 1, {}, dtype);
    set_requires_grad(weight, true);
    const auto optimizer = make_optimizer({{"w", weight}}, c.options);
    for (uint64_t step = 2; step < 5; ++step) {
      set_grad(weight, cpu_tests::random(weight.shape(), step, {}, dtype));
      optimizer->step(0.01);
    }
    return weight;
  };
  for (const DType dtype : {DType::f32, DType::f64}) {
    ExecContext reference = cpu_tests::only("reference");
    const Tensor expected = results(reference, dtype);
    for (const InstructionSet set : cpu_tests::instruction_sets()) {
      ExecContext engine = cpu_tests::only("cpu", 3, set);
      const Tensor actual = results(engine, dtype);
      EXPECT_EQ(std::memcmp(actual.raw(), expected.raw(), static_cast<size_t>(actual.bytes())), 0)
          << c.name << " " << name_of(set);
    }
  }
}

}  // namespace graft::train
