// The emulator's tensor cores: models of the instructions of device/tensor_core.h. The 32 lanes
// bring their registers together and each takes what the PTX ISA gives it.
#pragma once
#include "graft/kernels/cuda/device/tensor_core.h"
#include "graft/kernels/cuda/emulator/block_run.h"

namespace graft::cuda {

template <bool transposed, class T>
Matrices load_matrices(Thread& t, const Shared<MatrixRow<T>>& shared, int row) {
  const MatrixRow<T> own = shared.get(row);
  t.give(emulator::Instruction::matrix_load, &own, sizeof own);
  const auto element = [&](int matrix, int i, int j) {
    uint16_t bits;
    std::memcpy(&bits, t.given(8 * matrix + i) + 2 * j, sizeof bits);
    return uint32_t{bits};
  };
  const int g = t.lane() / 4, i = t.lane() % 4;
  Matrices m;
  for (int k = 0; k < 4; ++k)
    m.v[k] = transposed ? element(k, 2 * i, g) | element(k, 2 * i + 1, g) << 16
                        : element(k, g, 2 * i) | element(k, g, 2 * i + 1) << 16;
  return m;
}

template <class T>
void multiply(Thread& t, const FragmentA& a, const FragmentB& b, FragmentC& c) {
  struct Registers {
    FragmentA a;
    FragmentB b;
  };
  const Registers own{a, b};
  t.give(emulator::Instruction::matrix_product, &own, sizeof own);
  const auto value = [](uint32_t bits) {
    T element;
    element.bits = static_cast<uint16_t>(bits);
    return to_float(element);
  };
  // One row of A and one column of B, out of the lanes that hold them.
  const auto a_at = [&](int row, int k) {
    Registers r;
    std::memcpy(&r, t.given(row % 8 * 4 + k % 8 / 2), sizeof r);
    return value(r.a.v[row / 8 + 2 * (k / 8)] >> (16 * (k % 2)));
  };
  const auto b_at = [&](int k, int column) {
    Registers r;
    std::memcpy(&r, t.given(column * 4 + k % 8 / 2), sizeof r);
    return value(r.b.v[k / 8] >> (16 * (k % 2)));
  };
  for (int j = 0; j < 4; ++j) {
    const int row = t.lane() / 4 + j / 2 * 8, column = t.lane() % 4 * 2 + j % 2;
    float sum = c.v[j];
    for (int k = 0; k < 16; ++k) sum += a_at(row, k) * b_at(k, column);
    c.v[j] = sum;
  }
}

template <class T>
void copy_async(Thread& t, const Shared<MatrixRow<T>>& shared, int to, const Span<const T>& from,
                int64_t at) {
  const void* const source = at < 0 ? nullptr : from.template group_address<8>(at);
  t.run().begin_copy(t.thread(), source, shared.place(to, true), 16);
}
inline void end_copy_group(Thread& t) { t.run().end_copy_group(t.thread()); }
template <int left>
void wait_for_copies(Thread& t) {
  t.run().wait_for_copies(t.thread(), left);
}

}  // namespace graft::cuda
