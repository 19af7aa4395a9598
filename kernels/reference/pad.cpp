// Constant padding (negative amounts crop), and its gradient.
#include "graft/kernels/ops/shape_change.h"
#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

// Calls f(offset in the padded tensor, offset in the plain one) for the elements that both have.
template <class F>
void for_each_shared(const Tensor& padded, const Tensor& plain, const std::vector<int64_t>& begin,
                     F&& f) {
  const Index sp = element_strides(padded), sx = element_strides(plain);
  const int rank = plain.rank();
  for_each_index(padded.shape(), [&](const Index& i) {
    int64_t at = 0;
    for (int axis = 0; axis < rank; ++axis) {
      const auto a = static_cast<size_t>(axis);
      const int64_t source = i[a] - begin[a];
      if (source < 0 || source >= plain.shape()[axis]) return;
      at += source * sx[a];
    }
    f(offset_of(i, sp, rank), at);
  });
}

void forward(ExecContext&, ops::PadForwardArgs& args) {
  visit_dtype(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = args.x.data<T>();
    T* y = args.y.mutable_data<T>();
    for (int64_t i = 0; i < args.y.numel(); ++i) y[i] = convert<T>(args.attributes.value);
    for_each_shared(args.y, args.x, args.attributes.begin,
                    [&](int64_t to, int64_t from) { y[to] = x[from]; });
  });
}

void backward(ExecContext&, ops::PadBackwardArgs& args) {
  visit_dtype(args.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* dy = args.dy.data<T>();
    T* dx = args.dx.mutable_data<T>();
    for (int64_t i = 0; i < args.dx.numel(); ++i) dx[i] = T{};
    for_each_shared(args.dy, args.dx, args.attributes.begin,
                    [&](int64_t from, int64_t to) { dx[to] = dy[from]; });
  });
}

}  // namespace

void register_pad(ops::ShapeChangeKernels& kernels) {
  kernels.pad_forward.add({"reference", takes_all, forward});
  kernels.pad_backward.add({"reference", takes_all, backward});
}

}  // namespace graft::reference
