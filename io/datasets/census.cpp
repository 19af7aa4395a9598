#include "graft/io/datasets/census.h"

#include <cstring>
#include <map>
#include <mutex>

#include "graft/core/base/error.h"
#include "graft/core/base/sha256.h"
#include "graft/core/runtime/exec_context.h"
#include "graft/core/runtime/stop.h"
#include "graft/io/datasets/left_out.h"
#include "graft/io/decode_gate.h"
#include "graft/io/images/jpeg.h"
#include "graft/io/images/resize.h"

namespace graft::io {
namespace {

Look look_of(const Image& image) {
  Look look;
  const Image grey = with_channels(image, 1);
  const Image small = resize(grey, 9, 9), thumbnail = resize(grey, 16, 16);
  const uint8_t* p = small.pixels.data<uint8_t>();
  for (size_t y = 0; y < 8; ++y)
    for (size_t x = 0; x < 8; ++x) {
      const uint8_t* at = p + y * 9 + x;
      look.gradients[0] |= uint64_t{at[0] > at[1]} << (8 * y + x);
      look.gradients[1] |= uint64_t{at[0] > at[9]} << (8 * y + x);
    }
  std::memcpy(look.thumbnail.data(), thumbnail.pixels.data<uint8_t>(), look.thumbnail.size());
  return look;
}

// Where memory is counted, the rows of a JPEG are let go as they come.
void check_jpeg(std::span<const std::byte> file, const std::string& name, ImageFacts& facts) {
  JpegReader reader;
  const JpegHeader header = reader.open(file, name);
  reader.read(1, {0, 0, header.width, header.height}, [](const uint8_t*) {});
  facts.width = header.width;
  facts.height = header.height;
  facts.channels = header.channels;
  facts.digest = file_digest(file);
}

ImageFacts facts_of(const Dataset& dataset, int64_t i, const CensusOptions& options) {
  ImageFacts facts;
  try {
    const ScopedDecode turn(options.gate, dataset, i);
    if (options.look_at) return options.look_at(dataset, i);
    std::vector<std::byte> bytes;
    const bool has_file = dataset.encoded(i, bytes);
    if (has_file) facts.format = image_format(bytes);
    if (options.gate && !options.looks && has_file && is_jpeg(bytes)) {
      check_jpeg(bytes, dataset.name(i), facts);
      return facts;
    }
    const Image image =
        has_file ? decode_image(bytes, dataset.name(i), options.window) : dataset.image(i);
    facts.width = image.width;
    facts.height = image.height;
    facts.channels = image.channels;
    facts.remark = image.remark;
    const std::span pixels(image.pixels.data<uint8_t>(), static_cast<size_t>(image.pixels.numel()));
    facts.digest =
        file_digest(has_file ? std::span<const std::byte>(bytes) : std::as_bytes(pixels));
    if (options.looks) facts.look = std::make_shared<const Look>(look_of(image));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::bad_input) throw;
    facts.fault = error.what();
  }
  return facts;
}

}  // namespace

uint64_t file_digest(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return std::stoull(hash.hex().substr(0, 16), nullptr, 16);
}

std::vector<ImageFacts> take_census(const Dataset& dataset, const CensusOptions& options) {
  std::vector<ImageFacts> facts(static_cast<size_t>(dataset.size()));
  int64_t done = 0;
  std::mutex mutex;
  const std::atomic<bool>* stop = current_stop();
  current_context().parallel_for(dataset.size(), [&](int64_t i) {
    check_stop(stop);
    facts[static_cast<size_t>(i)] = facts_of(dataset, i, options);
    const std::scoped_lock lock(mutex);
    ++done;
    if (options.progress) options.progress(done, dataset.size());
  });
  return facts;
}

std::shared_ptr<const Dataset> keep_whole(std::shared_ptr<const Dataset> dataset,
                                          std::vector<ImageFacts>& facts, double tolerated_share,
                                          std::vector<std::string>& notes,
                                          const std::string& many) {
  std::vector<std::string> faults;
  for (const ImageFacts& of_image : facts) faults.push_back(of_image.fault);
  std::vector<int64_t> whole =
      without_faults(faults, {many + " are broken", many, tolerated_share}, notes);
  keep_only(facts, whole);
  if (std::ssize(whole) == dataset->size()) return dataset;
  return subset(std::move(dataset), std::move(whole));
}

std::shared_ptr<const Dataset> without_broken_images(std::shared_ptr<const Dataset> dataset,
                                                     double tolerated_share,
                                                     std::vector<std::string>& notes,
                                                     DecodeGate* gate) {
  std::vector<ImageFacts> facts = take_census(*dataset, {.gate = gate});
  return keep_whole(std::move(dataset), facts, tolerated_share, notes);
}

std::vector<std::string> remarks_of(const std::vector<ImageFacts>& facts, const FileKind& kind) {
  std::map<std::string, int64_t> counts;
  for (const ImageFacts& of_image : facts)
    if (!of_image.remark.empty()) ++counts[of_image.remark];
  std::vector<std::string> remarks;
  for (const auto& [remark, count] : counts)
    remarks.push_back(str(count, " ", count == 1 ? kind.one : kind.many, ": ", remark));
  return remarks;
}

}  // namespace graft::io
