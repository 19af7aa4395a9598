#include "graft/kernels/cpu/depthwise.h"

#include <algorithm>

namespace graft::cpu {
namespace {

constexpr int64_t kDepthwiseElements = 1 << 15;  // of output a job

// One row of output: pixels whose window lies in the image as one run, the others one by one.
template <class T>
class DepthwiseRow {
 public:
  DepthwiseRow(const KernelTable<T>& table, const DepthwiseProblem<T>& problem, const T* zeros)
      : table_(table),
        p_(problem),
        s_(problem.shape),
        zeros_(zeros),
        taps_(static_cast<size_t>(s_.r * s_.s)) {
    const int64_t reach = (s_.s - 1) * s_.dilation_w;
    first_ = std::min(s_.q, ceil_div(s_.pad_w, s_.stride_w));
    const int64_t last =
        s_.w - 1 - reach + s_.pad_w;  // the first column of a last whole window, before the stride
    last_ = last < 0 ? first_ : std::clamp(last / s_.stride_w + 1, first_, s_.q);
  }

  void run(int64_t n, int64_t row) {
    for (int64_t q = 0; q < first_; ++q) run_pixels(n, row, q, 1);
    if (last_ > first_) run_pixels(n, row, first_, last_ - first_);
    for (int64_t q = last_; q < s_.q; ++q) run_pixels(n, row, q, 1);
  }

 private:
  void run_pixels(int64_t n, int64_t row, int64_t q, int64_t count) {
    for (int64_t r = 0; r < s_.r; ++r)
      for (int64_t s = 0; s < s_.s; ++s) {
        const int64_t h = row * s_.stride_h + r * s_.dilation_h - s_.pad_h,
                      w = q * s_.stride_w + s * s_.dilation_w - s_.pad_w;
        const bool inside = h >= 0 && h < s_.h && w >= 0 && w < s_.w;
        taps_[static_cast<size_t>(r * s_.s + s)] =
            inside ? p_.x + ((n * s_.h + h) * s_.w + w) * s_.c : zeros_;
      }
    const int64_t at = ((n * s_.p + row) * s_.q + q) * s_.c;
    table_.depthwise({taps_.data(), s_.r * s_.s, s_.stride_w * s_.c, count, s_.c, p_.weight,
                      p_.bias, p_.residual ? p_.residual + at : nullptr, p_.y + at, p_.activation});
  }

  const KernelTable<T>& table_;
  const DepthwiseProblem<T>& p_;
  const ConvShape& s_;
  const T* zeros_;
  std::vector<const T*> taps_;
  int64_t first_, last_;
};

}  // namespace

template <class T>
void pack_depthwise(const ConvShape& shape, const Tensor& weight, T* to) {
  const WeightStrides strides(weight);
  const T* in = weight.data<T>();
  for (int64_t r = 0; r < shape.r; ++r)
    for (int64_t s = 0; s < shape.s; ++s)
      for (int64_t c = 0; c < shape.c; ++c)
        *to++ = in[c * strides.k + r * strides.r + s * strides.s];
}

template <class T>
void run_depthwise(ExecContext& context, const KernelTable<T>& table,
                   const DepthwiseProblem<T>& problem) {
  const ConvShape& s = problem.shape;
  const int64_t rows = s.n * s.p;
  if (rows * s.q * s.c == 0) return;
  const Scratch<T> zeros(s.w * s.c + s.q * s.stride_w * s.c);
  std::fill_n(zeros.data(), s.w * s.c + s.q * s.stride_w * s.c, T(0));
  const int64_t each = std::max<int64_t>(1, kDepthwiseElements / (s.q * s.c));
  context.parallel_for(ceil_div(rows, each), [&](int64_t job) {
    DepthwiseRow<T> row(table, problem, zeros.data());
    for (int64_t i = job * each; i < std::min(rows, (job + 1) * each); ++i)
      row.run(i / s.p, i % s.p);
  });
}

template void pack_depthwise(const ConvShape&, const Tensor&, float*);
template void pack_depthwise(const ConvShape&, const Tensor&, double*);
template void run_depthwise(ExecContext&, const KernelTable<float>&,
                            const DepthwiseProblem<float>&);
template void run_depthwise(ExecContext&, const KernelTable<double>&,
                            const DepthwiseProblem<double>&);

}  // namespace graft::cpu
