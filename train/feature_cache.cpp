#include "graft/train/feature_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "graft/core/base/crc32c.h"
#include "graft/core/base/error.h"

namespace graft::train {
namespace {

constexpr int64_t kHeaderBytes = 128;
constexpr int64_t kChunkBytes = int64_t{4} << 20;

// A row's checksum knows its place, so that a row that was written elsewhere does not pass.
uint32_t checksum(int64_t row, const std::byte* bytes, int64_t count) {
  return crc32c(std::span(bytes, static_cast<size_t>(count)),
                crc32c(std::as_bytes(std::span(&row, 1))));
}

}  // namespace

FeatureCache::FeatureCache(int64_t rows, int64_t row_bytes, FeatureCacheOptions options)
    : rows_(rows), row_bytes_(row_bytes), options_(std::move(options)) {
  GRAFT_ASSERT(rows >= 0 && row_bytes > 0);
  ram_limit_ = std::min(rows, options_.ram_bytes / row_bytes);
  file_limit_ = std::min(rows, (options_.file_bytes - kHeaderBytes) / record_bytes());
  chunk_rows_ = std::max<int64_t>(1, kChunkBytes / row_bytes);
  if (!options_.path.empty()) open_file();
}

FeatureCache::~FeatureCache() = default;

// The whole description of the file: equal or of no use.
std::string FeatureCache::header() const {
  std::string text = str("graft features 2\n", options_.key, "\n", rows_, " ", row_bytes_, "\n");
  GRAFT_ASSERT(std::ssize(text) < kHeaderBytes);
  text.resize(kHeaderBytes, '\n');
  return text;
}

void FeatureCache::open_file() {
  FileSystem& files = file_system();
  const std::string& path = options_.path;
  try {
    bool usable = false;
    if (files.exists(path)) {
      writer_ = files.open_append(path);
      reader_ = files.open_read(path);
      std::string found(static_cast<size_t>(kHeaderBytes), ' ');
      if (reader_->size() >= kHeaderBytes)
        reader_->read_at(0, std::as_writable_bytes(std::span(found)));
      usable = found == header();
      is_ours_ = true;
      if (usable)
        adopt(*reader_);
      else if (options_.on_note)
        options_.on_note(str(
            path, ": its features are of other weights, data or settings and are computed anew"));
    }
    if (!usable) {
      const std::string text = header();
      if (is_ours_) files.remove(path);
      writer_ = files.create(path);
      is_ours_ = true;
      writer_->append(std::as_bytes(std::span(text)));
      reader_ = files.open_read(path);
    }
  } catch (const Error& error) {
    give_up_file(error.what());
  }
}

void FeatureCache::adopt(File& file) {
  const int64_t size = file.size(),
                whole = std::min(file_limit_, (size - kHeaderBytes) / record_bytes());
  records_.resize(static_cast<size_t>(record_bytes()));
  for (int64_t row = 0; row < whole; ++row) {
    file.read_at(kHeaderBytes + row * record_bytes(), records_);
    if (!is_whole(row)) {
      if (options_.on_note)
        options_.on_note(str(options_.path, ": its row ", row,
                             " is damaged; the features from there on are computed again"));
      break;
    }
    if (ram_rows_ == row) keep_in_memory(records_.data());
    file_rows_ = row + 1;
  }
  const int64_t used = kHeaderBytes + file_rows_ * record_bytes();
  if (used != size) file_system().truncate(options_.path, used);
  if (file_rows_ > 0 && options_.on_note)
    options_.on_note(str(options_.path, ": ", file_rows_, " of ", rows_,
                         " rows of features are there from the run before"));
}

// Of the record that was read last.
bool FeatureCache::is_whole(int64_t row) const {
  uint32_t stored = 0;
  std::memcpy(&stored, records_.data() + row_bytes_, sizeof stored);
  return stored == checksum(row, records_.data(), row_bytes_);
}

void FeatureCache::keep_in_memory(const std::byte* row) {
  if (ram_rows_ >= ram_limit_) return;
  if (ram_rows_ % chunk_rows_ == 0) {
    try {
      chunks_.push_back(Tensor::empty({std::min(chunk_rows_, ram_limit_ - ram_rows_) * row_bytes_},
                                      {.dtype = DType::u8}));
    } catch (const Error&) {  // less memory than was promised: what is kept is kept
      ram_limit_ = ram_rows_;
      return;
    }
  }
  auto* chunk = static_cast<std::byte*>(chunks_.back().mutable_raw());
  std::memcpy(chunk + ram_rows_ % chunk_rows_ * row_bytes_, row, static_cast<size_t>(row_bytes_));
  ++ram_rows_;
}

void FeatureCache::give_up_file(const std::string& reason) {
  writer_.reset();
  if (ram_rows_ >= file_rows_) {  // memory has them all: the disk's space is given back
    try {
      remove_file();
    } catch (const Error&) {
    }
  }
  file_limit_ = file_rows_;
  if (options_.on_note) options_.on_note(str("features are not kept on disk (", reason, ")"));
}

bool FeatureCache::can_hold(int64_t end) const {
  return end <= std::max(ram_limit_, file_limit_) &&
         (writer_ || end <= std::max(ram_limit_, file_rows_));
}

bool FeatureCache::append(const std::byte* rows, int64_t count) {
  const int64_t first = computed();
  GRAFT_ASSERT(first + count <= rows_);
  if (ram_rows_ == first)
    for (int64_t i = 0; i < count; ++i) keep_in_memory(rows + i * row_bytes_);
  const int64_t stored = std::min(count, file_limit_ - first);
  if (writer_ && file_rows_ == first && stored > 0) {
    records_.resize(static_cast<size_t>(stored * record_bytes()));
    for (int64_t i = 0; i < stored; ++i) {
      std::byte* record = records_.data() + i * record_bytes();
      std::memcpy(record, rows + i * row_bytes_, static_cast<size_t>(row_bytes_));
      const uint32_t sum = checksum(first + i, record, row_bytes_);
      std::memcpy(record + row_bytes_, &sum, sizeof sum);
    }
    try {
      writer_->append(records_);
      file_rows_ += stored;
    } catch (const Error& error) {
      give_up_file(error.what());
    }
  }
  return computed() == first + count;
}

bool FeatureCache::read(int64_t row, std::byte* out) {
  GRAFT_ASSERT(row >= 0 && row < computed());
  if (row < ram_rows_) {
    const auto* chunk =
        static_cast<const std::byte*>(chunks_[static_cast<size_t>(row / chunk_rows_)].raw());
    std::memcpy(out, chunk + row % chunk_rows_ * row_bytes_, static_cast<size_t>(row_bytes_));
    return true;
  }
  std::string damage;
  try {
    records_.resize(static_cast<size_t>(record_bytes()));
    reader_->read_at(kHeaderBytes + row * record_bytes(), records_);
    if (!is_whole(row)) damage = str(options_.path, ": its row ", row, " is damaged");
  } catch (const Error& error) {
    damage = error.what();
  }
  if (damage.empty())
    std::memcpy(out, records_.data(), static_cast<size_t>(row_bytes_));
  else if (!std::exchange(told_damage_, true) && options_.on_note)
    options_.on_note(str(damage, "; such features are computed again when they are needed"));
  return damage.empty();
}

void FeatureCache::remove_file() {
  if (!is_ours_) return;
  writer_.reset();
  reader_.reset();
  is_ours_ = false;
  file_rows_ = 0;
  file_limit_ = 0;
  file_system().remove(options_.path);
}

}  // namespace graft::train
