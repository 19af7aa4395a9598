// expect_kernels_agree: every candidate of every pass that a case reaches, one at a time, the
// others at the reference.
#include <algorithm>
#include <cmath>
#include <compare>
#include <set>
#include <string>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/tests/support/op_case.h"

namespace graft::test {
namespace {

constexpr InstructionSet kInstructionSets[] = {InstructionSet::portable, InstructionSet::avx2,
                                               InstructionSet::avx512, InstructionSet::avx512_bf16};

struct Candidate {
  std::string pass, kernel;
  auto operator<=>(const Candidate& other) const = default;
};

// What is being tested: a dtype and the layouts of activations and parameters.
struct Variant {
  DType dtype;
  MemoryFormat activations, parameters;
  std::string describe() const {
    return str(name_of(dtype), ", activations ", name_of(activations), ", parameters ",
               name_of(parameters));
  }
};

Tensor cast(const Tensor& value, const OpInput& input, const Variant& variant) {
  const bool half = variant.dtype == DType::bf16 || variant.dtype == DType::f16;
  switch (input.role) {
    case Role::labels: return value;
    case Role::matched: return value.to(variant.dtype);
    case Role::parameter: return value.to(half ? DType::f32 : variant.dtype).to(variant.parameters);
    case Role::activation: break;
  }
  return value.to(variant.dtype).to(variant.activations);
}

// Integer types are fed integers: values in [-8, 8], non-negative for the unsigned ones.
Tensor rounded(const Tensor& value, DType dtype) {
  Tensor result = value.clone();
  double* out = result.mutable_data<double>();
  for (int64_t i = 0; i < result.numel(); ++i) {
    out[i] = std::round(out[i] * 8);
    if (dtype == DType::u8) out[i] = std::abs(out[i]);
    if (dtype == DType::boolean) out[i] = out[i] > 0;
  }
  return result;
}

double tolerance_of(const OpCase& op, DType dtype) {
  switch (dtype) {
    case DType::f64: return 1e-11;
    case DType::f32: return op.f32_tolerance;
    case DType::bf16: return 1.5e-2;
    case DType::f16: return 2e-3;
    default: return 0;
  }
}

void compare(const OpResult& actual, const OpResult& expected, double tolerance,
             const std::string& what) {
  ASSERT_EQ(actual.outputs.size(), expected.outputs.size()) << what;
  for (size_t i = 0; i < actual.outputs.size(); ++i)
    EXPECT_LE(relative_error(actual.outputs[i], expected.outputs[i]), tolerance)
        << what << ": output " << i;
  for (size_t i = 0; i < actual.gradients.size(); ++i) {
    EXPECT_EQ(actual.gradients[i].empty(), expected.gradients[i].empty())
        << what << ": gradient of input " << i;
    if (actual.gradients[i].empty()) continue;
    EXPECT_LE(relative_error(actual.gradients[i], expected.gradients[i]), tolerance)
        << what << ": gradient of input " << i;
  }
}

class KernelCheck {
 public:
  KernelCheck(const OpCase& op, const Variant& variant, bool with_backward)
      : op_(op), variant_(variant) {
    std::vector<Tensor> exact;  // what the variant's inputs hold, in double
    for (const Tensor& value : make_inputs(op)) {
      const OpInput& input = op.inputs[exact.size()];
      const bool integers = input.role != Role::labels && !is_floating(variant.dtype);
      inputs_.push_back(cast(integers ? rounded(value, variant.dtype) : value, input, variant));
      exact.push_back(input.role == Role::labels
                          ? value
                          : inputs_.back().to(DType::f64).to(MemoryFormat::contiguous));
    }
    ExecContext context(1);
    context.set_kernel_filter([](auto, auto kernel) { return kernel == "reference"; });
    const ScopedExecContext scope(context);
    oracle_ = run_op(op, exact, {});
    if (!with_backward) return;
    dy_ = distinct_values(oracle_.tensors[0].shape(), -1, 1, 99).to(variant.dtype);
    oracle_ = run_op(op, exact, dy_.to(DType::f64));
  }

  // Which candidates the case's passes have, and which of them take it on some instruction set.
  void dispatch(std::set<Candidate>& offered, std::set<Candidate>& taken) {
    const std::set<Candidate> candidates = check_reference();
    for (const InstructionSet set : kInstructionSets) {
      if (set > machine_instruction_set()) break;
      ExecContext context(1, set);
      for (const Candidate& candidate : candidates) {
        offered.insert(candidate);
        if (taken.contains(candidate)) continue;
        bool declined;
        only(context, candidate, declined);
        if (!declined) taken.insert(candidate);
      }
    }
  }

  void run() {
    const std::set<Candidate> candidates = check_reference();
    for (const InstructionSet set : kInstructionSets) {
      if (set > machine_instruction_set()) break;
      ExecContext one(1, set), three(3, set);
      for (const Candidate& candidate : candidates) check_candidate(one, candidate);
      one.set_kernel_filter({});
      const OpResult chosen = run_in(one), threaded = run_in(three);
      compare(chosen, oracle_, tolerance_of(op_, variant_.dtype), describe("as dispatched", set));
      EXPECT_TRUE(chosen.outputs == threaded.outputs && chosen.gradients == threaded.gradients)
          << describe("as dispatched", set) << ": bits depend on the number of threads";
      if (op_.per_sample) check_samples(one, chosen.outputs[0]);
    }
  }

 private:
  std::string describe(const std::string& kernel, InstructionSet set) const {
    return str(op_.name, ": ", kernel, " (", name_of(set), "), ", variant_.describe());
  }
  OpResult run_in(ExecContext& context) const {
    const ScopedExecContext scope(context);
    return run_op(op_, inputs_, dy_);
  }

  // The reference in this dtype and layout; returns the other candidates that were offered on the
  // way.
  std::set<Candidate> check_reference() {
    std::set<Candidate> others;
    ExecContext context(1);
    context.set_kernel_filter([&](std::string_view pass, std::string_view kernel) {
      if (kernel == "reference") return true;
      others.insert({std::string(pass), std::string(kernel)});
      return false;
    });
    const OpResult result = run_in(context);
    compare(result, oracle_, tolerance_of(op_, variant_.dtype),
            str(op_.name, ": reference, ", variant_.describe()));
    const Tensor& y = result.tensors[0];
    if (op_.keeps_layout && y.rank() == 4 && inputs_[0].rank() == 4) {
      EXPECT_EQ(name_of(y.format()), name_of(inputs_[0].format()))
          << op_.name << ": the result's layout";
    }
    return others;
  }

  // Thrown where a pass would go on without the kernel that is looked at: what it would compute is
  // of no use.
  struct Declined {};

  OpResult only(ExecContext& context, const Candidate& candidate, bool& declined) const {
    declined = false;
    context.set_kernel_filter([&](std::string_view pass, std::string_view kernel) {
      if (pass != candidate.pass)
        return true;  // whichever comes first: each is checked as a candidate itself
      if (kernel == "reference") throw Declined{};
      return kernel == candidate.kernel;
    });
    try {
      return run_in(context);
    } catch (const Declined&) {
      declined = true;
      return {};
    }
  }

  // Only `candidate` for its pass. It declined when the reference was asked for that pass.
  void check_candidate(ExecContext& context, const Candidate& candidate) {
    bool declined;
    const OpResult result = only(context, candidate, declined);
    if (declined) return;
    compare(result, oracle_, tolerance_of(op_, variant_.dtype),
            describe(candidate.pass + " by " + candidate.kernel, context.instruction_set()));
  }

  // Each sample by itself gives the bits it had in the batch.
  void check_samples(ExecContext& context, const std::vector<double>& batch) {
    const ScopedExecContext scope(context);
    const int64_t samples = inputs_[0].size(0);
    for (int64_t n = 0; n < samples; ++n) {
      std::vector<Tensor> sample;
      for (size_t i = 0; i < inputs_.size(); ++i) {
        const bool batched = i == 0 || op_.inputs[i].role == Role::activation;
        sample.push_back(batched ? inputs_[i].narrow_batch(n, 1) : inputs_[i]);
      }
      const std::vector<double> alone = run_op(op_, sample, {}).outputs[0];
      ASSERT_EQ(static_cast<int64_t>(alone.size()) * samples, static_cast<int64_t>(batch.size()))
          << op_.name;
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(),
                             batch.begin() + n * static_cast<int64_t>(alone.size())))
          << describe("as dispatched", context.instruction_set()) << ": the bits of sample " << n
          << " depend on the batch";
    }
  }

  const OpCase& op_;
  Variant variant_;
  std::vector<Tensor> inputs_;
  Tensor dy_;
  OpResult oracle_;
};

}  // namespace

namespace {

// Calls f(variant, with_backward) for every dtype and pair of layouts that make a difference to the
// case.
template <class F>
void for_each_variant(const OpCase& op, F&& f) {
  bool images = false, filters = false;
  for (const OpInput& input : op.inputs) {
    images |= input.role == Role::activation && input.shape.rank() == 4;
    filters |= input.role == Role::parameter && input.shape.rank() == 4;
  }
  std::vector<DType> dtypes{DType::f64, DType::f32};
  dtypes.insert(dtypes.end(), op.forward_dtypes.begin(), op.forward_dtypes.end());
  for (const DType dtype : dtypes)
    for (const auto activations : {MemoryFormat::contiguous, MemoryFormat::channels_last})
      for (const auto parameters : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
        if (activations == MemoryFormat::channels_last && !images) continue;
        if (parameters == MemoryFormat::channels_last && !filters) continue;
        f(Variant{dtype, activations, parameters},
          dtype == DType::f64 || dtype == DType::f32 || dtype == DType::bf16);
      }
}

bool runs_here(const Candidate& candidate) {
  for (const InstructionSet set : kInstructionSets)
    if (set > machine_instruction_set() && candidate.kernel.find(name_of(set)) != std::string::npos)
      return false;
  return true;
}

}  // namespace

void expect_kernels_agree(const OpCase& op) {
  for_each_variant(op, [&](const Variant& variant, bool with_backward) {
    KernelCheck(op, variant, with_backward).run();
  });
}

void expect_all_kernels_reached(std::span<const OpCase> cases,
                                std::initializer_list<std::string_view> borrowed) {
  const auto is_borrowed = [&](const Candidate& candidate) {
    return std::any_of(borrowed.begin(), borrowed.end(), [&](std::string_view op) {
      return candidate.pass == op || candidate.pass.starts_with(str(op, " "));
    });
  };
  std::set<Candidate> offered, taken;
  for (const bool small :
       {true, false}) {  // the large cases only when some kernel took no small one
    if (!small && offered == taken) return;
    for (const OpCase& op : cases)
      if (op.finite_differences == small)
        for_each_variant(op, [&](const Variant& variant, bool with_backward) {
          KernelCheck(op, variant, with_backward).dispatch(offered, taken);
        });
  }
  for (const Candidate& candidate : offered)
    EXPECT_TRUE(taken.contains(candidate) || !runs_here(candidate) || is_borrowed(candidate))
        << candidate.pass << ": " << candidate.kernel << " takes no case";
}

}  // namespace graft::test
