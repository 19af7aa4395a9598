// Tensor: a handle to dense elements (Storage) with shape, dtype, layout and device. Copies share;
// nothing is a view with strides, so a kernel sees one of two layouts and nothing else.
#pragma once
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "graft/core/tensor/device.h"
#include "graft/core/tensor/dtype.h"
#include "graft/core/tensor/memory_format.h"
#include "graft/core/tensor/shape.h"
#include "graft/core/tensor/storage.h"

namespace graft {

class Tensor;

// What autograd hangs on a tensor; its content is autograd's (core/autograd/grad_meta.h).
struct GRAFT_API AutogradMeta {
  virtual ~AutogradMeta() = default;
  // `result` holds elements of `source`, whose data this is: from sample `begin` on, maybe in
  // another shape, dtype or layout.
  virtual void follow(const Tensor& source, const Tensor& result, int64_t begin) const = 0;
};

struct TensorOptions {
  DType dtype = DType::f32;
  MemoryFormat format = MemoryFormat::contiguous;
  Device device{};
};

class GRAFT_API Tensor {
 public:
  // Methods that give the same elements in another form (reshape, narrow_batch, to) keep the
  // gradient: it flows back to this tensor as through the functions of layers/functional. clone(),
  // detach() and to_device() give tensors that autograd knows nothing of. Only functions are
  // traced, so that a plan or an export of a network wants functional::reshape and the like.

  Tensor() = default;  // undefined: "no tensor" (an absent bias, a gradient nobody asked for)

  static Tensor empty(const Shape& shape, TensorOptions options = {});  // elements not set
  static Tensor zeros(const Shape& shape, TensorOptions options = {});
  static Tensor full(const Shape& shape, double value, TensorOptions options = {});
  // Uninitialised, with the shape, dtype, format and device of `like`.
  static Tensor empty_like(const Tensor& like);
  static Tensor zeros_like(const Tensor& like);
  // values.size() must be shape.numel().
  template <class T>
  static Tensor of(const Shape& shape, const std::vector<T>& values);
  template <class T>
  static Tensor of(const Shape& shape, std::initializer_list<T> values) {
    return of(shape, std::vector<T>(values));
  }
  // The same with the shape that the braces have: Tensor::of<float>({{1, 2}, {3, 4}}) is [2,2].
  // bad_input for rows of different lengths.
  template <class T>
  static Tensor of(std::initializer_list<T> values) {
    return of({static_cast<int64_t>(values.size())}, values);
  }
  template <class T>
  static Tensor of(std::initializer_list<std::initializer_list<T>> rows) {
    return stacked<T>(rows);
  }
  template <class T>
  static Tensor of(std::initializer_list<std::initializer_list<std::initializer_list<T>>> planes) {
    return stacked<T>(planes);
  }
  static Tensor scalar(double value, DType dtype = DType::f32);  // rank 0

  // Elements that lie in the program's own memory on the host, in memory order; nothing is copied.
  // The memory must live as long as any tensor that shares it: `owner`, where given, is kept that
  // long, and its deleter is the place to free (std::shared_ptr<void>(data, std::free)). graft
  // never frees it, and writes to it only through this tensor's mutable_data() and copy_from().
  // What the program writes there later is seen by later reads, but not by what was computed or
  // packed from it before: for weights use copy_from(). bad_input for a null pointer, one that is
  // not aligned to the dtype, and another device.
  static Tensor from_blob(void* data, const Shape& shape, TensorOptions options = {},
                          std::shared_ptr<const void> owner = {});

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }

  const Shape& shape() const { return impl().shape; }
  int rank() const { return shape().rank(); }
  int64_t size(int axis) const { return shape().at(axis); }
  int64_t numel() const { return shape().numel(); }
  int64_t bytes() const { return numel() * size_of(dtype()); }
  DType dtype() const { return impl().dtype; }
  MemoryFormat format() const { return impl().format; }
  Device device() const { return impl().storage->device(); }
  TensorOptions options() const { return {dtype(), format(), device()}; }

  // Elements in memory order. T must be the dtype's type. mutable_data() counts as a write
  // (Storage's version).
  template <class T>
  const T* data() const {
    check_type(dtype_of<T>::value);
    return static_cast<const T*>(raw());
  }
  template <class T>
  T* mutable_data() {
    check_type(dtype_of<T>::value);
    return static_cast<T*>(mutable_raw());
  }
  template <class T>
  std::span<const T> elements() const {
    return {data<T>(), static_cast<size_t>(numel())};
  }
  const void* raw() const { return impl().storage->data() + impl().offset; }
  void* mutable_raw() { return impl().storage->mutable_data() + impl().offset; }

  uint64_t version() const { return impl().storage->version(); }
  uint64_t storage_id() const { return impl().storage->id(); }
  Storage& storage() const { return *impl().storage; }

  // The one element of a tensor with numel() == 1, converted to double.
  double item() const;
  // All elements as double, in NCHW (logical) order whatever the layout. For tests and small
  // results.
  std::vector<double> to_doubles() const;

  // Shares storage; contiguous only; same numel.
  Tensor reshape(const Shape& shape) const;
  // Samples [begin, begin + count) of axis 0, sharing storage.
  Tensor narrow_batch(int64_t begin, int64_t count) const;
  // A copy in its own storage, without autograd.
  Tensor clone() const;
  // The same handle when nothing changes, else a converted copy.
  Tensor to(DType dtype) const;
  Tensor to(
      MemoryFormat format) const;  // channels_last needs rank 4; other ranks come back as they are
  // Shares storage but not autograd's data.
  Tensor detach() const;
  // Overwrites the elements from `source` (same shape; dtype and layout are converted). One write.
  void copy_from(const Tensor& source);

  bool is_last_handle() const { return impl_.use_count() == 1; }  // nobody else has one
  // Two handles of the same tensor (not: equal values).
  bool is_same(const Tensor& other) const { return impl_ == other.impl_; }
  const void* identity() const { return impl_.get(); }
  // No other handle and no other tensor sees its elements, and autograd knows nothing of it: they
  // may be overwritten.
  bool is_unshared() const {
    return impl_.use_count() == 1 && impl().storage.use_count() == 1 &&
           !impl().storage->is_borrowed() && !impl().autograd;
  }

  const std::shared_ptr<AutogradMeta>& autograd_meta() const { return impl().autograd; }
  void set_autograd_meta(std::shared_ptr<AutogradMeta> meta) const {
    impl().autograd = std::move(meta);
  }

 private:
  struct Impl {
    std::shared_ptr<Storage> storage{};
    int64_t offset = 0;  // in bytes
    Shape shape{};
    DType dtype = DType::f32;
    MemoryFormat format = MemoryFormat::contiguous;
    mutable std::shared_ptr<AutogradMeta> autograd;
  };

  const Tensor& followed(const Tensor& result, int64_t begin = 0) const {
    if (impl_->autograd) impl_->autograd->follow(*this, result, begin);
    return result;
  }
  template <class T, class Lists>
  static Tensor stacked(const Lists& lists);
  static Tensor made(const Shape& shape, TensorOptions options, Storage::Content content);
  explicit Tensor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const {
    GRAFT_CHECK(impl_ != nullptr, "an undefined tensor was used");
    return *impl_;
  }
  Impl& impl() {
    GRAFT_CHECK(impl_ != nullptr, "an undefined tensor was used");
    return *impl_;
  }
  void check_type(DType wanted) const {
    GRAFT_CHECK(dtype() == wanted, "tensor ", shape(), " holds ", name_of(dtype()), ", not ",
                name_of(wanted));
  }

  std::shared_ptr<Impl> impl_;
};

template <class T>
Tensor Tensor::of(const Shape& shape, const std::vector<T>& values) {
  GRAFT_CHECK(static_cast<int64_t>(values.size()) == shape.numel(), values.size(),
              " values for shape ", shape);
  Tensor result = empty(shape, {.dtype = dtype_of<T>::value});
  T* out = result.mutable_data<T>();
  for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return result;
}

// Tensors of the inner lists, one after another along a new first axis.
template <class T, class Lists>
Tensor Tensor::stacked(const Lists& lists) {
  std::vector<T> values;
  Shape inner{0};
  for (const auto& list : lists) {
    const Tensor part = of(list);
    GRAFT_CHECK(&list == lists.begin() || part.shape() == inner, "rows of shapes ", inner, " and ",
                part.shape(), " in one tensor");
    inner = part.shape();
    values.insert(values.end(), part.elements<T>().begin(), part.elements<T>().end());
  }
  std::vector<int64_t> extents{static_cast<int64_t>(lists.size())};
  extents.insert(extents.end(), inner.begin(), inner.end());
  return of(Shape(std::span<const int64_t>(extents)), values);
}

}  // namespace graft
