// OneAtATime: says so when two threads use at once what only one may.
#pragma once
#include <atomic>

#include "graft/core/base/error.h"

namespace graft {

// Part of an object that one thread at a time may use. Always checked: it costs nanoseconds where
// steps take milliseconds.
class OneAtATime {
 public:
  // Around each use. Error(usage) when another one is under way.
  class Use {
   public:
    Use(OneAtATime& object, const char* what) : object_(object) {
      if (object.used_.exchange(true, std::memory_order_acquire))
        fail(ErrorCode::usage, what, ": two threads use it at once; one at a time may");
    }
    ~Use() { object_.used_.store(false, std::memory_order_release); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    OneAtATime& object_;
  };

  OneAtATime() = default;
  OneAtATime(const OneAtATime&) {}  // a copy is another object
  OneAtATime& operator=(const OneAtATime&) { return *this; }

 private:
  std::atomic<bool> used_{false};
};

}  // namespace graft
