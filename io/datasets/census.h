// A census of a data set: every image decoded once, so that broken ones are known before training,
// and what the others are like.
#pragma once
#include <array>
#include <functional>
#include <span>

#include "graft/io/datasets/dataset.h"

namespace graft::io {

class DecodeGate;

// How an image looks, whatever its size and format: for near twins.
struct GRAFT_API Look {
  std::array<uint64_t, 2> gradients{};   // bits of a 9x9 thumbnail: brighter than its right, its
                                         // lower neighbour
  std::array<uint8_t, 256> thumbnail{};  // 16 x 16, grey
};

struct ImageFacts {
  int64_t width = 0, height = 0, channels = 0;
  std::string format = {};                // image_format() of the file; "": it has none of its own
  std::string fault = {};                 // why it is broken; "": it is not
  std::string remark = {};                // what was done to read it (Image::remark)
  uint64_t digest = 0;                    // of the file's bytes, or of pixels without a file
  std::shared_ptr<const Look> look = {};  // with CensusOptions::looks
};

struct CensusOptions {
  bool looks = false;
  DecodeGate* gate = nullptr;  // decoders keep within it; null: no bound
  std::function<void(int64_t done, int64_t total)> progress =
      {};                  // may be empty; one call at a time
  GreyWindow window = {};  // that grey of more than 8 bits is read by
  // Of samples that are no images: what is known of one, with a fault for one that is broken.
  std::function<ImageFacts(const Dataset& dataset, int64_t sample)> look_at = {};
};

// In the order of the samples. Errors other than bad_input leave. Within a ScopedStop it ends with
// Stopped.
GRAFT_API std::vector<ImageFacts> take_census(const Dataset& dataset,
                                              const CensusOptions& options = {});

// The data set without the broken images, each reported in `notes` with its path and reason; their
// facts leave `facts`. bad_input when more than `tolerated_share` of the images are broken.
GRAFT_API std::shared_ptr<const Dataset> keep_whole(std::shared_ptr<const Dataset> dataset,
                                                    std::vector<ImageFacts>& facts,
                                                    double tolerated_share,
                                                    std::vector<std::string>& notes,
                                                    const std::string& many = "images");

// "7 images: 16-bit samples ...": each remark once, with how many images it is of.
GRAFT_API std::vector<std::string> remarks_of(const std::vector<ImageFacts>& facts,
                                              const FileKind& kind = {});

// ImageFacts::digest of a file.
GRAFT_API uint64_t file_digest(std::span<const std::byte> bytes);

}  // namespace graft::io
