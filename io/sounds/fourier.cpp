#include "graft/io/sounds/fourier.h"

#include <bit>
#include <numbers>

#include "graft/core/base/error.h"

namespace graft::io {
namespace {

using Complex = std::complex<double>;

Complex turn(double share) { return std::polar(1.0, -2 * std::numbers::pi * share); }

Complex product(Complex a, Complex b) {  // without the care for infinities of operator*
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

}  // namespace

Fourier::Fourier(int64_t length) : length_(length), size_(length) {
  GRAFT_CHECK(length >= 1 && length <= 65536, "a Fourier transform of length ", length);
  const auto n = static_cast<uint64_t>(length);
  const bool is_power = std::has_single_bit(n);
  if (!is_power) size_ = static_cast<int64_t>(std::bit_ceil(2 * n - 1));
  for (int64_t k = 0; k < size_ / 2; ++k)
    roots_.push_back(turn(static_cast<double>(k) / static_cast<double>(size_)));
  work_.resize(static_cast<size_t>(size_));
  if (is_power) return;
  filter_.resize(static_cast<size_t>(size_));
  for (int64_t k = 0; k < length; ++k) {
    const int64_t square = k * k % (2 * length);  // the angle's period
    chirp_.push_back(turn(static_cast<double>(square) / static_cast<double>(2 * length)));
    const Complex back = std::conj(chirp_.back());
    filter_[static_cast<size_t>(k)] = back;
    if (k > 0) filter_[static_cast<size_t>(size_ - k)] = back;
  }
  transform(filter_, false);
}

void Fourier::transform(std::vector<Complex>& values, bool inverse) const {
  const auto n = static_cast<size_t>(size_);
  for (size_t i = 1, j = 0; i < n; ++i) {  // bits in reverse
    size_t bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j |= bit;
    if (i < j) std::swap(values[i], values[j]);
  }
  for (size_t span = 1; span < n; span *= 2)
    for (size_t begin = 0; begin < n; begin += 2 * span)
      for (size_t k = 0; k < span; ++k) {
        Complex root = roots_[k * (n / (2 * span))];
        if (inverse) root = std::conj(root);
        const Complex odd = product(values[begin + k + span], root), even = values[begin + k];
        values[begin + k] = even + odd;
        values[begin + k + span] = even - odd;
      }
}

std::span<const Complex> Fourier::operator()(std::span<const double> x) {
  GRAFT_CHECK(std::ssize(x) == length_, "a Fourier transform of ", x.size(), " numbers, made for ",
              length_);
  const auto n = static_cast<size_t>(length_);
  std::fill(work_.begin(), work_.end(), Complex());
  for (size_t i = 0; i < n; ++i) work_[i] = chirp_.empty() ? Complex(x[i]) : chirp_[i] * x[i];
  transform(work_, false);
  if (!chirp_.empty()) {
    for (size_t i = 0; i < work_.size(); ++i) work_[i] = product(work_[i], filter_[i]);
    transform(work_, true);
    for (size_t k = 0; k < n; ++k)
      work_[k] = product(work_[k], chirp_[k]) / static_cast<double>(size_);
  }
  return std::span(work_).first(n / 2 + 1);
}

}  // namespace graft::io
