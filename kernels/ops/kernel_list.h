// KernelList: the ordered implementations of one pass of one op, best first, reference last. Each says why it declines.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "graft/core/base/error.h"
#include "graft/core/base/log.h"
#include "graft/core/runtime/exec_context.h"

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

template <class Args>
class KernelList {
 public:
  explicit KernelList(const char* pass) : pass_(pass) {}

  void add(Kernel<Args> kernel) { kernels_.push_back(kernel); }  // in order of preference
  std::span<const Kernel<Args>> candidates() const { return kernels_; }
  const char* pass() const { return pass_; }

  // Runs the first candidate that does not decline. GRAFT_LOG=dispatch prints the choice and the reasons.
  void operator()(ExecContext& context, Args args) const {
    for (const Kernel<Args>& kernel : kernels_) {
      if (!context.allows(pass_, kernel.name)) continue;
      if (const char* reason = kernel.declines(context, args)) {
        log("dispatch", pass_, ": ", kernel.name, " declines: ", reason);
        continue;
      }
      log("dispatch", pass_, ": ", kernel.name);
      kernel.run(context, args);
      return;
    }
    bad_input(pass_, ": no kernel takes these arguments");
  }

 private:
  const char* pass_;
  std::vector<Kernel<Args>> kernels_;
};

}  // namespace graft
