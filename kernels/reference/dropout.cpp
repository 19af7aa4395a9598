// Dropout with a counted mask: one random number an element, in logical order.
#include "graft/kernels/ops/dropout.h"

#include "graft/core/runtime/random.h"
#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

void apply(ExecContext&, ops::DropoutArgs& args) {
  const ops::DropoutAttributes& a = args.attributes;
  CountedRandom random(a.seed, RandomPurpose::dropout, a.epoch, a.step);
  const double scale = 1 / (1 - a.probability);
  const auto threshold = static_cast<uint32_t>(a.probability * 4294967296.0);
  const Index strides = element_strides(args.x);
  visit_floating(args.x.dtype(), "dropout", [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    for_each_index(args.x.shape(), [&](const Index& i) {
      const int64_t at = offset_of(i, strides, args.x.rank());
      y[at] = random.next() < threshold ? T{} : convert<T>(convert<double>(x[at]) * scale);
    });
  });
}

}  // namespace

void register_dropout(ops::DropoutKernels& kernels) {
  kernels.apply.add({"reference", takes_all, apply});
}

}  // namespace graft::reference
