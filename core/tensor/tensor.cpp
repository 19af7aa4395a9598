#include "graft/core/tensor/tensor.h"

#include <cstring>
#include <limits>
#include <type_traits>

#include "graft/core/tensor/device_backend.h"

namespace graft {
namespace {

Allocator& allocator_of(Device device) {
  return is_cpu(device) ? cpu_allocator() : device_backend(device).allocator(device);
}

}  // namespace

uint64_t Storage::next_id() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1);
}

Tensor Tensor::made(const Shape& shape, TensorOptions options, Storage::Content content) {
  auto impl = std::make_shared<Impl>();
  impl->shape = shape;
  impl->dtype = options.dtype;
  impl->format = shape.rank() == 4 ? options.format : MemoryFormat::contiguous;
  const bool on_cpu = is_cpu(options.device);
  impl->storage = std::make_shared<Storage>(allocator_of(options.device),
                                            checked_mul(shape.numel(), size_of(options.dtype)),
                                            on_cpu ? content : Storage::Content::unset);
  Tensor result(std::move(impl));
  if (!on_cpu && content == Storage::Content::zero) device_backend(options.device).fill(result, 0);
  return result;
}

Tensor Tensor::empty(const Shape& shape, TensorOptions options) {
  return made(shape, options, Storage::Content::unset);
}
Tensor Tensor::zeros(const Shape& shape, TensorOptions options) {
  return made(shape, options, Storage::Content::zero);
}

namespace {

// As convert(), but for a number that an integer cannot hold: the nearest that it can, 0 for NaN.
template <class To, class From>
To convert_saturated(From value) {
  constexpr bool narrows =
      !std::is_integral_v<From> && std::is_integral_v<To> && !std::is_same_v<To, bool>;
  if constexpr (narrows) {
    const auto wide = convert<double>(value);
    if (wide != wide) return 0;
    if (wide <= static_cast<double>(std::numeric_limits<To>::min()))
      return std::numeric_limits<To>::min();
    if (wide >= static_cast<double>(std::numeric_limits<To>::max()))
      return std::numeric_limits<To>::max();
  }
  return convert<To>(value);
}

}  // namespace

Tensor Tensor::full(const Shape& shape, double value, TensorOptions options) {
  Tensor result = empty(shape, options);
  if (!is_cpu(options.device)) {
    device_backend(options.device).fill(result, value);
    return result;
  }
  visit_dtype(options.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* out = result.mutable_data<T>();
    const T element = convert_saturated<T>(value);
    for (int64_t i = 0; i < result.numel(); ++i) out[i] = element;
  });
  return result;
}

Tensor Tensor::from_blob(void* data, const Shape& shape, TensorOptions options,
                         std::shared_ptr<const void> owner) {
  GRAFT_CHECK(is_cpu(options.device), "from_blob: memory of the host, not of ", options.device);
  GRAFT_CHECK(data != nullptr || shape.numel() == 0, "from_blob: a null pointer for shape ", shape);
  GRAFT_CHECK(
      reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(size_of(options.dtype)) == 0,
      "from_blob: the memory is not aligned to ", name_of(options.dtype));
  auto impl = std::make_shared<Impl>();
  impl->shape = shape;
  impl->dtype = options.dtype;
  impl->format = shape.rank() == 4 ? options.format : MemoryFormat::contiguous;
  impl->storage = std::make_shared<Storage>(
      data, checked_mul(shape.numel(), size_of(options.dtype)), std::move(owner));
  return Tensor(std::move(impl));
}

Tensor Tensor::empty_like(const Tensor& like) { return empty(like.shape(), like.options()); }
Tensor Tensor::zeros_like(const Tensor& like) { return zeros(like.shape(), like.options()); }
Tensor Tensor::scalar(double value, DType dtype) { return full(Shape{}, value, {.dtype = dtype}); }

double Tensor::item() const {
  GRAFT_CHECK(numel() == 1, "item() of a tensor of shape ", shape());
  if (!is_cpu(device())) return to_device(*this, {}).item();
  return visit_dtype(dtype(), [&](auto zero) { return convert<double>(*data<decltype(zero)>()); });
}

std::vector<double> Tensor::to_doubles() const {
  const Tensor ordered = to_device(*this, {}).to(MemoryFormat::contiguous);
  std::vector<double> values(static_cast<size_t>(numel()));
  visit_dtype(dtype(), [&](auto zero) {
    const auto* in = ordered.data<decltype(zero)>();
    for (size_t i = 0; i < values.size(); ++i) values[i] = convert<double>(in[i]);
  });
  return values;
}

Tensor Tensor::reshape(const Shape& shape) const {
  GRAFT_CHECK(shape.numel() == numel(), "cannot reshape ", this->shape(), " to ", shape);
  GRAFT_CHECK(format() == MemoryFormat::contiguous,
              "reshape needs a contiguous tensor, got channels_last ", this->shape());
  auto copy = std::make_shared<Impl>(impl());
  copy->shape = shape;
  copy->autograd = nullptr;
  return followed(Tensor(std::move(copy)));
}

Tensor Tensor::narrow_batch(int64_t begin, int64_t count) const {
  GRAFT_CHECK(rank() >= 1 && begin >= 0 && count >= 0 && begin <= size(0) - count, "samples [",
              begin, ", ", begin + count, ") of shape ", shape());
  auto copy = std::make_shared<Impl>(impl());
  copy->shape = shape().with(0, count);
  copy->offset += begin * (size(0) ? bytes() / size(0) : 0);
  copy->autograd = nullptr;
  return followed(Tensor(std::move(copy)), begin);
}

Tensor Tensor::clone() const {
  Tensor copy = empty_like(*this);
  if (!is_cpu(device()))
    device_backend(device()).copy(device(), copy.mutable_raw(), raw(), bytes());
  else
    std::memcpy(copy.mutable_raw(), raw(), static_cast<size_t>(bytes()));
  return copy;
}

Tensor Tensor::detach() const {
  auto copy = std::make_shared<Impl>(impl());
  copy->autograd = nullptr;
  return Tensor(std::move(copy));
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == this->dtype()) return *this;
  Tensor result = empty(shape(), {dtype, format(), device()});
  if (!is_cpu(device())) {
    device_backend(device()).cast(*this, result);
    return followed(result);
  }
  visit_dtype(this->dtype(), [&](auto from) {
    const auto* in = data<decltype(from)>();
    visit_dtype(dtype, [&](auto to) {
      using To = decltype(to);
      To* out = result.mutable_data<To>();
      for (int64_t i = 0; i < numel(); ++i) out[i] = convert_saturated<To>(in[i]);
    });
  });
  return followed(result);
}

namespace {

// Copies [batch][rows][columns] to [batch][columns][rows], in tiles that fit the cache.
template <class T>
void transpose_planes(const T* in, T* out, int64_t batch, int64_t rows, int64_t columns) {
  constexpr int64_t tile = 32;
  for (int64_t n = 0; n < batch; ++n, in += rows * columns, out += rows * columns)
    for (int64_t r0 = 0; r0 < rows; r0 += tile)
      for (int64_t c0 = 0; c0 < columns; c0 += tile)
        for (int64_t c = c0; c < std::min(c0 + tile, columns); ++c)
          for (int64_t r = r0; r < std::min(r0 + tile, rows); ++r)
            out[c * rows + r] = in[r * columns + c];
}

}  // namespace

Tensor Tensor::to(MemoryFormat format) const {
  if (format == this->format() || rank() != 4) return *this;
  Tensor result = empty(shape(), {dtype(), format, device()});
  if (!is_cpu(device())) {
    device_backend(device()).reformat(*this, result);
    return followed(result);
  }
  const int64_t channels = size(1), pixels = size(2) * size(3);
  const bool to_last = format == MemoryFormat::channels_last;
  const int64_t rows = to_last ? channels : pixels, columns = to_last ? pixels : channels;
  visit_dtype(dtype(), [&](auto zero) {
    using T = decltype(zero);
    transpose_planes(data<T>(), result.mutable_data<T>(), size(0), rows, columns);
  });
  return followed(result);
}

Tensor to_device(const Tensor& tensor, Device device) {
  const Device from = tensor.device();
  if (device == from) return tensor;
  if (!is_cpu(device) && !is_cpu(from)) return to_device(to_device(tensor, {}), device);
  Tensor result = Tensor::empty(tensor.shape(), {tensor.dtype(), tensor.format(), device});
  if (is_cpu(device))
    device_backend(from).download(from, result.mutable_raw(), tensor.raw(), tensor.bytes());
  else
    device_backend(device).upload(device, result.mutable_raw(), tensor.raw(), tensor.bytes());
  return result;
}

void Tensor::copy_from(const Tensor& source) {
  GRAFT_CHECK(source.shape() == shape(), "cannot copy ", source.shape(), " into ", shape());
  const Tensor converted = source.to(dtype()).to(format());
  if (is_cpu(device()) && is_cpu(converted.device()))
    std::memcpy(mutable_raw(), converted.raw(), static_cast<size_t>(bytes()));
  else if (is_cpu(device()))
    device_backend(converted.device())
        .download(converted.device(), mutable_raw(), converted.raw(), bytes());
  else if (is_cpu(converted.device()))
    device_backend(device()).upload(device(), mutable_raw(), converted.raw(), bytes());
  else
    device_backend(device()).copy(device(), mutable_raw(), to_device(converted, device()).raw(),
                                  bytes());
}

}  // namespace graft
