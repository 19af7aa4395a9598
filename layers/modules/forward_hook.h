// ForwardHook: the handle of Module::on_forward(). The callback is called while the handle lives.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "graft/core/tensor/tensor.h"

namespace graft {

// The callbacks of one module.
struct ForwardCallbacks {
  struct Entry {
    uint64_t id = 0;
    std::function<void(const Tensor& y)> call{};
  };
  std::vector<Entry> entries{};
  uint64_t next_id = 1;
};

// Made and destroyed while no other thread is in the network's forward(). It may outlive the
// module.
class GRAFT_API ForwardHook {
 public:
  ForwardHook() = default;
  ForwardHook(std::weak_ptr<ForwardCallbacks> of, uint64_t id) : of_(std::move(of)), id_(id) {}
  ForwardHook(ForwardHook&& other) noexcept
      : of_(std::move(other.of_)), id_(std::exchange(other.id_, 0)) {}
  ForwardHook& operator=(ForwardHook&& other) noexcept {
    if (this == &other) return *this;
    remove();
    of_ = std::move(other.of_);
    id_ = std::exchange(other.id_, 0);
    return *this;
  }
  ~ForwardHook() { remove(); }
  void remove();

 private:
  std::weak_ptr<ForwardCallbacks> of_{};
  uint64_t id_ = 0;
};

}  // namespace graft
