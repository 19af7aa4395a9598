// Twins: images of a data set that are the same file, or look the same.
#pragma once
#include <vector>

#include "graft/io/datasets/census.h"

namespace graft::io {

// Each group holds two indices or more, ascending; groups by their first.
using TwinGroups = std::vector<std::vector<int64_t>>;

// Images whose bytes are equal (64 bits of SHA-256).
GRAFT_API TwinGroups equal_twins(const std::vector<ImageFacts>& facts);

// More images than this are not compared with each other (the work grows with their square).
inline constexpr int64_t kMostCompared = 60000;

// Images that look the same though their bytes differ (resized, compressed again, brightened a
// little); needs the census' looks. Of equal ones the first stands for all. Nearly even images,
// which all look alike, count only when their thumbnails are the same.
GRAFT_API TwinGroups near_twins(const std::vector<ImageFacts>& facts);

}  // namespace graft::io
