// The most bytes that malloc handed out at once since an object was made: what a fuzz target holds
// its reader to.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

// AddressSanitizer's hooks (sanitizer/allocator_interface.h); absent in a plain build, where
// nothing is counted.
extern "C" {
__attribute__((weak)) int __sanitizer_install_malloc_and_free_hooks(
    void (*malloc_hook)(const volatile void*, size_t), void (*free_hook)(const volatile void*));
__attribute__((weak)) size_t __sanitizer_get_allocated_size(const volatile void*);
}

namespace graft::fuzz {

class PeakMemory {
 public:
  PeakMemory() : before_((start_counting(), live_.load())) { most_ = before_; }
  static bool is_counted() { return start_counting(); }
  int64_t bytes() const { return most_ - before_; }

 private:
  static bool start_counting() {
    static const bool counting = __sanitizer_install_malloc_and_free_hooks != nullptr &&
                                 __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0;
    return counting;
  }
  static void on_malloc(const volatile void*, size_t size) {
    const int64_t live = live_ += static_cast<int64_t>(size);
    if (live > most_) most_ = live;  // threads may lose a little here: a bound is no bill
  }
  static void on_free(const volatile void* block) {
    if (block) live_ -= static_cast<int64_t>(__sanitizer_get_allocated_size(block));
  }
  static inline std::atomic<int64_t> live_ = 0, most_ = 0;
  int64_t before_;
};

}  // namespace graft::fuzz
