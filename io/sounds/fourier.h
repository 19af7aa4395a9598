// The discrete Fourier transform of any length, in double precision.
#pragma once
#include <complex>
#include <cstdint>
#include <span>
#include <vector>

#include "graft/core/base/export.h"

namespace graft::io {

// For one length; one thread at a time.
class GRAFT_API Fourier {
 public:
  explicit Fourier(int64_t length);  // 1 to 65536
  // X[k] = sum over n of x[n] exp(-2 pi i k n / length), k = 0 .. length/2, of `length` real
  // numbers. Valid until the next call.
  std::span<const std::complex<double>> operator()(std::span<const double> x);

 private:
  // In place, of a power of two (Cooley and Tukey).
  void transform(std::vector<std::complex<double>>& values, bool inverse) const;

  int64_t length_, size_;                    // size_: the power of two that is transformed
  std::vector<std::complex<double>> roots_;  // exp(-2 pi i k / size_)
  // Of another length (Bluestein): the chirp exp(-pi i n^2 / length), and the transform of its
  // conjugate.
  std::vector<std::complex<double>> chirp_, filter_, work_;
};

}  // namespace graft::io
