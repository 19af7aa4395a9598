// The only file that names the backends. Order of the calls is order of preference.
#include "graft/kernels/registry.h"

#include "graft/kernels/cpu/register.h"
#include "graft/kernels/reference/register.h"

namespace graft {

const KernelSet& kernels_for(Device device) {
  GRAFT_CHECK(device.type == DeviceType::cpu, "device ", device, " is not in this build");
  static const KernelSet* cpu = [] {
    auto* set = new KernelSet;
    register_cpu_kernels(*set);
    register_reference_kernels(*set);
    return set;
  }();
  return *cpu;
}

}  // namespace graft
