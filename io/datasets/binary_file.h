// Whole binary files, gunzipped when they are .gz, with a bound on what comes out.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace graft::io {

// bad_input naming the path when it is damaged or larger than `limit` bytes (unpacked).
std::vector<std::byte> read_maybe_gzipped(const std::string& path, int64_t limit);

}  // namespace graft::io
