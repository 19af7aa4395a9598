// KernelList: the ordered implementations of one pass of one op, best first, reference last. Each
// says why it declines.
#pragma once
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/core/base/log.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/kernel_skip.h"
#include "graft/core/runtime/stop.h"
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/ops/dtype_rule.h"

namespace graft {

template <class Args>
struct Kernel {
  const char* name;  // "reference", "cpu_nhwc", ...
  // Null when the kernel takes these arguments, else the reason why not (a constant string).
  const char* (*declines)(const ExecContext& context, const Args& args);
  void (*run)(ExecContext& context, Args& args);
};

// For kernels that take everything.
template <class Args>
const char* takes_all(const ExecContext&, const Args&) {
  return nullptr;
}

// What a profile says of a call: its shapes, and its multiply-adds where it is a product of its
// weight.
template <class Args>
ExecContext::KernelRun describe_call(const Args& args) {
  ExecContext::KernelRun run{};
  if constexpr (requires { args.x.shape(); }) run.arguments += str("x ", args.x.shape());
  if constexpr (requires { args.dy.shape(); })
    run.arguments += str(run.arguments.empty() ? "dy " : " dy ", args.dy.shape());
  if constexpr (requires { args.parameters[0].weight.shape(); })
    run.arguments = args.parameters.size() == 1 ? str("weight ", args.parameters[0].weight.shape())
                                                : str(args.parameters.size(), " tensors");
  const Tensor* out = nullptr;
  if constexpr (requires { args.dy.shape(); })
    out = &args.dy;
  else if constexpr (requires { args.y.shape(); })
    out = &args.y;
  const Tensor* weight = nullptr;
  if constexpr (requires {
                  args.weight.shape();
                  args.x.shape();
                })
    weight = &args.weight;
  else if constexpr (requires {
                       args.weight.shape();
                       args.dx.shape();
                     })
    weight = &args.weight;
  else if constexpr (requires {
                       args.dweight->rank();
                       args.x.shape();
                     })
    weight = args.dweight;
  if (!weight || !out || weight->rank() < 2) return run;
  run.arguments += str(" weight ", weight->shape());
  run.multiply_adds = static_cast<double>(out->numel()) * static_cast<double>(weight->numel()) /
                      static_cast<double>(weight->size(0));
  return run;
}

// Whether the context wants this call's result (ExecContext::set_computing).
template <class Args>
bool is_computed(const ExecContext& context, const Args& args) {
  constexpr int64_t kFew = 64;
  if (context.computing() != ExecContext::Computing::numbers)
    return context.computing() == ExecContext::Computing::all;
  if constexpr (requires { args.x.numel(); })
    return !is_floating(args.x.dtype()) || args.x.numel() <= kFew;
  else if constexpr (requires { args.dy.numel(); })
    return args.dy.numel() <= kFew;
  return true;
}

template <class Args>
class KernelList {
 public:
  explicit KernelList(const char* pass) : pass_(pass) {}

  void add(Kernel<Args> kernel) { kernels_.push_back(kernel); }  // in order of preference
  std::span<const Kernel<Args>> candidates() const { return kernels_; }
  const char* pass() const { return pass_; }

  // Runs the first candidate that does not decline. bad_input for dtypes that the contract does not
  // name together, and when all decline. GRAFT_LOG=dispatch prints the choice and the
  // reasons.
  void operator()(ExecContext& context, Args args) const {
    if (!run_first(context, args)) bad_input(refusal(context, args));
  }

  // The same for an optional fast path: false when no candidate takes it, then run the plain
  // passes. The other way stands for the reference, and a filter is asked for it by that name.
  bool try_run(ExecContext& context, Args args) const {
    if (run_first(context, args)) return true;
    static_cast<void>(context.allows(pass_, "reference"));
    return false;
  }

 private:
  bool run_first(ExecContext& context, Args& args) const {
    static_assert(
        requires { args.dtypes_fit(); }, "a contract says which dtypes go together");
    GRAFT_CHECK(args.dtypes_fit(), pass_,
                ": these dtypes do not go together: ", ops::dtypes_of(args));
    check_stop();
    for (const Kernel<Args>& kernel : kernels_) {
      if (!context.allows(pass_, kernel.name)) continue;
      if (const char* reason = kernel.declines(context, args)) {
        log("dispatch", pass_, ": ", kernel.name, " declines: ", reason);
        continue;
      }
      log("dispatch", pass_, ": ", kernel.name);
      if (!is_computed(context, args)) return true;
      if constexpr (requires { args.x.storage_id(); }) {
        if (skips_kernel(args.x)) return true;
      }
      if (context.kernel_observer())
        run_observed(context, kernel, args);
      else
        kernel.run(context, args);
      return true;
    }
    return false;
  }

  // The call's shapes, and why each candidate declines it.
  std::string refusal(const ExecContext& context, const Args& args) const {
    std::string text = str(pass_, ": no kernel takes these arguments");
    if (const std::string shapes = describe_call(args).arguments; !shapes.empty())
      text += str(" (", shapes, ")");
    const char* before = ": ";
    for (const Kernel<Args>& kernel : kernels_) {
      const char* reason = kernel.declines(context, args);
      text += str(before, kernel.name, " declines: ", reason ? reason : "left out by a filter");
      before = "; ";
    }
    return text;
  }

  void run_observed(ExecContext& context, const Kernel<Args>& kernel, Args& args) const {
    ExecContext::KernelRun run = describe_call(args);
    run.pass = pass_, run.kernel = kernel.name;
    const auto start = std::chrono::steady_clock::now();
    kernel.run(context, args);
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    context.kernel_observer()(run);
  }

  const char* pass_;
  std::vector<Kernel<Args>> kernels_;
};

}  // namespace graft
