// Matrix products, a row of the result at a time.
#include "graft/kernels/ops/matmul.h"

#include "graft/kernels/reference/access.h"
#include "graft/kernels/reference/register.h"

namespace graft::reference {
namespace {

template <class A>
A multiply_add(A sum, A a, A b) {
  if constexpr (std::is_integral_v<A>)
    return static_cast<A>(static_cast<uint64_t>(sum) +
                          static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return sum + a * b;
}

// Row m of op(a) times op(b), added to sums [N].
template <class T, class A>
void add_row(const ops::MatmulArgs& args, const ops::MatrixProduct& product, int64_t m,
             std::vector<A>& sums) {
  const Shape &sa = args.a.shape(), &sb = args.b.shape();
  const int64_t k_extent = sa[args.transpose_a ? 1 : 2],
                n_extent = static_cast<int64_t>(sums.size());
  const T* a = args.a.data<T>() + product.a * sa[1] * sa[2] + (args.transpose_a ? m : m * k_extent);
  const T* b = args.b.data<T>() + product.b * sb[1] * sb[2];
  const int64_t step = args.transpose_a ? sa[2] : 1;
  if (args.transpose_b) {
    for (int64_t n = 0; n < n_extent; ++n)
      for (int64_t k = 0; k < k_extent; ++k)
        sums[static_cast<size_t>(n)] = multiply_add(
            sums[static_cast<size_t>(n)], convert<A>(a[k * step]), convert<A>(b[n * k_extent + k]));
    return;
  }
  for (int64_t k = 0; k < k_extent; ++k) {
    const A factor = convert<A>(a[k * step]);
    for (int64_t n = 0; n < n_extent; ++n)
      sums[static_cast<size_t>(n)] =
          multiply_add(sums[static_cast<size_t>(n)], factor, convert<A>(b[k * n_extent + n]));
  }
}

void matmul(ExecContext& context, ops::MatmulArgs& args) {
  const int64_t rows = args.y.shape()[1], columns = args.y.shape()[2];
  std::vector<std::vector<ops::MatrixProduct>> of_result(static_cast<size_t>(args.y.shape()[0]));
  for (const ops::MatrixProduct& product : args.products)
    of_result[static_cast<size_t>(product.y)].push_back(product);
  visit_dtype(args.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using A = Accumulator<T>;
    T* y = args.y.mutable_data<T>();
    context.parallel_for(args.y.shape()[0] * rows, [&](int64_t job) {
      std::vector<A> sums(static_cast<size_t>(columns));
      for (const ops::MatrixProduct& product : of_result[static_cast<size_t>(job / rows)])
        add_row<T>(args, product, job % rows, sums);
      for (int64_t n = 0; n < columns; ++n)
        y[job * columns + n] = convert<T>(sums[static_cast<size_t>(n)]);
    });
  });
}

}  // namespace

void register_matmul(ops::MatmulKernels& kernels) {
  kernels.run.add({"reference", takes_all, matmul});
}

}  // namespace graft::reference
