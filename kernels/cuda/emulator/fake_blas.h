// FakeBlas: cuBLASLt of the fake GPU. Its products are queued as any work and computed by their
// definition, with the order between streams, the bounds and the life of every matrix checked.
#pragma once
#include "graft/kernels/cuda/cublas/blas.h"
#include "graft/kernels/cuda/emulator/fake_driver.h"

namespace graft::cuda::emulator {

// What a test wants of it, and what it did.
struct FakeBlasState {
  std::function<bool(const cublas::Product&)>
      refuses;  // products that it has no way for; empty: none
  int64_t chosen = 0, executed = 0;
};

class FakeBlas final : public cublas::Blas {
 public:
  FakeBlas(FakeDriver& driver, FakeBlasState& state) : driver_(driver), state_(state) {}
  gpu::Status choose(const cublas::Product& product, const cublas::ProductRules& rules,
                     cublas::Choice& choice) override;
  gpu::Status multiply(const cublas::Product& product, const cublas::ProductRules& rules,
                       const cublas::Choice& choice, const cublas::ProductOperands& operands,
                       void* workspace, gpu::StreamId stream) override;

 private:
  FakeDriver& driver_;
  FakeBlasState& state_;
};

}  // namespace graft::cuda::emulator
