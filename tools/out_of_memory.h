// What the command does when there is no more memory: one line and exit code 4, however far it got.
#pragma once

namespace graft::tools {

// Writes "graft: out of memory" to stderr without asking for any; returns the exit code.
int say_out_of_memory() noexcept;

}  // namespace graft::tools
