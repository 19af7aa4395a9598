// Runs a test's body where the system refuses new threads.
#pragma once
#include <functional>

namespace graft {

// Whether `body` says true in a forked child whose address space holds a few more threads at most.
// Sanitizers, whose address space is their own, run it unbounded: ask sanitized() first.
bool true_with_scarce_threads(const std::function<bool()>& body);
bool sanitized();

}  // namespace graft
