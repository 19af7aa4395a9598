// The engine's kernels for a context's instruction set, and the scratch memory its jobs use.
#pragma once
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cpu/isa/tables.h"

namespace graft::cpu {

// The best table that the context's instruction set allows (avx512_bf16 uses avx512's).
template <class T>
const KernelTable<T>& kernel_table_for(const ExecContext& context);

// Uninitialised elements from the caching allocator for the scope: warm pages after the first use. Aligned to 64 bytes.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : bytes_(checked_mul(count, static_cast<int64_t>(sizeof(T)))) {
    data_ = static_cast<T*>(cpu_allocator().allocate(bytes_));
  }
  ~Scratch() { cpu_allocator().deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }

 private:
  int64_t bytes_;
  T* data_;
};

// Whether memory order is N, H, W, C: by its tag, or because one channel or one pixel leaves nothing to order.
inline bool is_nhwc(const Tensor& t) {
  if (t.rank() != 4) return false;
  return t.format() == MemoryFormat::channels_last || t.shape()[1] == 1 || t.shape()[2] * t.shape()[3] == 1;
}

inline bool is_engine_dtype(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

// Calls f(T{}) with the C++ type of an engine dtype.
template <class F>
void visit_engine_dtype(DType dtype, F&& f) {
  if (dtype == DType::f64) f(double{});
  else f(float{});
}

}  // namespace graft::cpu
