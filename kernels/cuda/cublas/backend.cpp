#include "graft/kernels/cuda/cublas/backend.h"

#include <algorithm>

#include "graft/kernels/cuda/cublas/api.h"

namespace graft::cublas {
namespace {

using gpu::Status;

// The library does not take something; becomes a Status at the Blas.
struct BlasRefused {
  std::string why;
};

api::DataType data_type(DType type) {
  return type == DType::f32    ? api::DataType::f32
         : type == DType::bf16 ? api::DataType::bf16
                               : api::DataType::f16;
}

// A bias' address while a way is sought: nothing reads there, but cuBLASLt wants one.
const void* const kSomewhere = reinterpret_cast<const void*>(uintptr_t{4096});

// The library's objects for one product. It counts matrices by columns: row by row, y = a * b is
// y^T = b^T * a^T for it, so that its first factor is graft's second.
class Descriptors {
 public:
  Descriptors(const api::Library& library, const Product& p, const ProductRules& rules,
              const void* bias)
      : library_(library) {
    try {
      const auto compute =
          rules.tf32 && p.type == DType::f32 ? api::ComputeType::tf32 : api::ComputeType::f32;
      check(library.create_description(&description, compute, api::DataType::f32));
      set(api::DescriptionName::transpose_a,
          p.transpose_b ? api::Transpose::yes : api::Transpose::no);
      set(api::DescriptionName::transpose_b,
          p.transpose_a ? api::Transpose::yes : api::Transpose::no);
      if (p.bias) {
        set(api::DescriptionName::epilogue, api::Epilogue::bias);
        set(api::DescriptionName::bias, bias);
      }
      make(first, p.type, p.transpose_b ? p.k : p.n, p.transpose_b ? p.n : p.k, p.count,
           p.b_stride);
      make(second, p.type, p.transpose_a ? p.m : p.k, p.transpose_a ? p.k : p.m, p.count,
           p.a_stride);
      make(result, p.type, p.n, p.m, p.count, p.m * p.n);
    } catch (...) {
      release();
      throw;
    }
  }
  ~Descriptors() { release(); }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  api::Description description = nullptr;
  api::Layout first = nullptr, second = nullptr, result = nullptr;

 private:
  void check(api::Result status) const {
    if (status != api::Result::success) throw BlasRefused{library_.error_text(status)};
  }
  template <class T>
  void set(api::DescriptionName name, const T& value) const {
    check(library_.set_description(description, name, &value, sizeof value));
  }
  void make(api::Layout& layout, DType type, int64_t rows, int64_t columns, int64_t count,
            int64_t stride) const {
    check(library_.create_layout(&layout, data_type(type), static_cast<uint64_t>(rows),
                                 static_cast<uint64_t>(columns), rows));
    if (count == 1) return;
    const auto number = static_cast<int32_t>(count);
    check(library_.set_layout(layout, api::LayoutName::count, &number, sizeof number));
    check(library_.set_layout(layout, api::LayoutName::stride, &stride, sizeof stride));
  }
  void release() const {
    for (api::Layout layout : {first, second, result})
      if (layout) library_.destroy_layout(layout);
    if (description) library_.destroy_description(description);
  }

  const api::Library& library_;
};

template <class F>
Status guarded_blas(F&& body) {
  try {
    body();
  } catch (const BlasRefused& refused) {
    return {Status::Code::failed, refused.why};
  }
  return {};
}

// Every matrix of a stack starts at 16 bytes, or is only known to start at an element.
uint32_t alignment_of(const Product& p) {
  const auto size = static_cast<int64_t>(size_of(p.type));
  const bool aligned = p.count == 1 || (p.a_stride * size % 16 == 0 &&
                                        p.b_stride * size % 16 == 0 && p.m * p.n * size % 16 == 0);
  return aligned ? 16 : static_cast<uint32_t>(size);
}

class LtBlas final : public Blas {
 public:
  LtBlas(const api::Library& library, api::Handle handle) : library_(library), handle_(handle) {}
  ~LtBlas() override { library_.destroy(handle_); }

  Status choose(const Product& product, const ProductRules& rules, Choice& choice) override {
    return guarded_blas([&] {
      const Descriptors d(library_, product, rules, kSomewhere);
      api::Preference preference = nullptr;
      check(library_.create_preference(&preference));
      api::HeuristicResult result{};
      int found = 0;
      api::Result status = set_preferences(preference, product, rules);
      if (status == api::Result::success)
        status = library_.heuristic(handle_, d.description, d.first, d.second, d.result, d.result,
                                    preference, 1, &result, &found);
      library_.destroy_preference(preference);
      check(status);
      if (found == 0) throw BlasRefused{"it proposes nothing"};
      check(result.state);
      std::copy(std::begin(result.algorithm.data), std::end(result.algorithm.data),
                choice.algorithm.begin());
      choice.workspace = static_cast<int64_t>(result.workspace);
    });
  }

  Status multiply(const Product& product, const ProductRules& rules, const Choice& choice,
                  const ProductOperands& operands, void* workspace, gpu::StreamId stream) override {
    return guarded_blas([&] {
      const Descriptors d(library_, product, rules, operands.bias);
      api::Algorithm algorithm{};
      std::copy(choice.algorithm.begin(), choice.algorithm.end(), std::begin(algorithm.data));
      const float one = 1, zero = 0;
      check(library_.multiply(handle_, d.description, &one, operands.b, d.first, operands.a,
                              d.second, &zero, operands.y, d.result, operands.y, d.result,
                              &algorithm, workspace, static_cast<size_t>(choice.workspace),
                              stream));
    });
  }

 private:
  void check(api::Result status) const {
    if (status != api::Result::success) throw BlasRefused{library_.error_text(status)};
  }
  // Parts of a sum are joined in float32 and in order, or there are none.
  api::Result set_preferences(api::Preference preference, const Product& product,
                              const ProductRules& rules) const {
    const auto limit = static_cast<uint64_t>(rules.workspace_limit);
    const auto reduction = api::Reduction::compute_type;
    const uint32_t alignment = alignment_of(product);
    api::Result status =
        library_.set_preference(preference, api::PreferenceName::workspace, &limit, sizeof limit);
    if (status == api::Result::success)
      status = library_.set_preference(preference, api::PreferenceName::reduction, &reduction,
                                       sizeof reduction);
    using Name = api::PreferenceName;
    for (const Name name :
         {Name::alignment_a, Name::alignment_b, Name::alignment_c, Name::alignment_d})
      if (status == api::Result::success)
        status = library_.set_preference(preference, name, &alignment, sizeof alignment);
    return status;
  }

  const api::Library& library_;
  api::Handle handle_;
};

}  // namespace

Status open_cublas(std::unique_ptr<Blas>& blas) {
  std::string why;
  const api::Library* const library = api::library(why);
  if (!library) return {Status::Code::failed, why};
  api::Handle handle = nullptr;
  if (const api::Result result = library->create(&handle); result != api::Result::success)
    return {Status::Code::failed, library->error_text(result)};
  blas = std::make_unique<LtBlas>(*library, handle);
  return {};
}

std::string describe_cublas() {
  std::string why;
  const api::Library* const library = api::library(why);
  if (!library) return why;
  const auto version = static_cast<int64_t>(library->version());
  return str("cuBLASLt ", version / 10000, ".", version / 100 % 100, ".", version % 100);
}

}  // namespace graft::cublas
