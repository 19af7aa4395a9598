// The engine's kernels for a context's instruction set, and the scratch memory its jobs use.
#pragma once
#include "graft/core/runtime/exec_context.h"
#include "graft/core/tensor/tensor.h"
#include "graft/kernels/cpu/isa/tables.h"

namespace graft::cpu {

// The best table that the context's instruction set allows (avx512_bf16 uses avx512's).
template <class T>
const KernelTable<T>& kernel_table_for(const ExecContext& context);
template <>
const KernelTable<float>& kernel_table_for<float>(const ExecContext& context);
template <>
const KernelTable<double>& kernel_table_for<double>(const ExecContext& context);
// Of avx512_bf16 only: has_bf16 says whether there is one.
template <>
const KernelTable<Bf16>& kernel_table_for<Bf16>(const ExecContext& context);
// Every instruction set has one.
template <>
const KernelTable<U8>& kernel_table_for<U8>(const ExecContext& context);
bool has_bf16(const ExecContext& context);

// The table of what sums are kept in: the float table beside bfloat16.
template <class T>
const KernelTable<T>& sum_table(const KernelTable<T>& table) {
  return table;
}
inline const KernelTable<float>& sum_table(const KernelTable<Bf16>& table) { return *table.floats; }

// The loops along channels: of bfloat16 too, on every instruction set.
template <class T>
const ChannelKernels<T>& channel_kernels_for(const ExecContext& context) {
  return kernel_table_for<T>(context).channels;
}
template <>
const ChannelKernels<Bf16>& channel_kernels_for<Bf16>(const ExecContext& context);

// Element-wise maths of float and bfloat16: every instruction set has it.
template <class T>
const MapKernels<T>& map_kernels_for(const ExecContext& context);
template <>
const MapKernels<float>& map_kernels_for<float>(const ExecContext& context);
template <>
const MapKernels<Bf16>& map_kernels_for<Bf16>(const ExecContext& context);

// Softmax and normalisation of float and bfloat16: every instruction set has them.
template <class T>
const RowKernels<T>& row_kernels_for(const ExecContext& context);
template <>
const RowKernels<float>& row_kernels_for<float>(const ExecContext& context);
template <>
const RowKernels<Bf16>& row_kernels_for<Bf16>(const ExecContext& context);

// Convolution of narrow groups, of floats, doubles and bfloat16: every instruction set has it.
template <class T>
const GroupedKernels<T>& grouped_kernels_for(const ExecContext& context);
template <>
const GroupedKernels<float>& grouped_kernels_for<float>(const ExecContext& context);
template <>
const GroupedKernels<double>& grouped_kernels_for<double>(const ExecContext& context);
template <>
const GroupedKernels<Bf16>& grouped_kernels_for<Bf16>(const ExecContext& context);

// Uninitialised elements from the caching allocator for the scope: warm pages after the first use.
// Aligned to 64 bytes.
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

// Whether memory order is N, H, W, C: by its tag, or because one channel or one pixel leaves
// nothing to order.
inline bool is_nhwc(const Tensor& t) {
  if (t.rank() != 4) return false;
  return t.format() == MemoryFormat::channels_last || t.shape()[1] == 1 ||
         t.shape()[2] * t.shape()[3] == 1;
}

inline bool is_engine_dtype(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }
// What the loops along channels take.
inline bool is_image_dtype(DType dtype) { return is_engine_dtype(dtype) || dtype == DType::bf16; }
// What statistics, and vectors of parameters, have beside images of a type.
inline DType parameter_dtype(DType images) {
  return images == DType::f64 ? DType::f64 : DType::f32;
}

// A bf16 tensor's elements as the kernels take them.
inline const Bf16* bf16_data(const Tensor& t) {
  return reinterpret_cast<const Bf16*>(t.data<bfloat16>());
}
inline Bf16* mutable_bf16_data(Tensor& t) {
  return reinterpret_cast<Bf16*>(t.mutable_data<bfloat16>());
}

// The images' elements of an engine type.
template <class T>
const T* image_data(const Tensor& t) {
  if constexpr (std::is_same_v<T, Bf16>)
    return bf16_data(t);
  else
    return t.data<T>();
}
template <class T>
T* mutable_image_data(Tensor& t) {
  if constexpr (std::is_same_v<T, Bf16>)
    return mutable_bf16_data(t);
  else
    return t.mutable_data<T>();
}

// Calls f(T{}) with the C++ type of an engine dtype.
template <class F>
void visit_engine_dtype(DType dtype, F&& f) {
  if (dtype == DType::f64)
    f(double{});
  else
    f(float{});
}

// The same for images: bfloat16 as Bf16.
template <class F>
void visit_image_dtype(DType dtype, F&& f) {
  if (dtype == DType::bf16)
    f(Bf16{});
  else
    visit_engine_dtype(dtype, f);
}

}  // namespace graft::cpu
