// FeatureCache: rows of equal size, kept in memory up to a limit and in a file that a killed run
// goes on with.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graft/core/base/file_system.h"
#include "graft/core/tensor/tensor.h"

namespace graft::train {

struct FeatureCacheOptions {
  int64_t ram_bytes = int64_t{2} << 30;
  std::string path{};  // of the file; "": none
  std::string
      key{};  // a hash of everything that the rows depend on: a file of another key is begun anew
  int64_t file_bytes = int64_t{64} << 30;             // the file grows no further
  std::function<void(const std::string&)> on_note{};  // may be empty
};

// Rows are added in order. Every row goes to the file, the first ones to memory as well; what has a
// place in neither is not kept. The file is read, not mapped: a damaged disk is then an Error and
// not a signal. Nothing but append() and read() after construction touches it. One thread at a
// time.
class GRAFT_API FeatureCache {
 public:
  // At most `rows` rows of row_bytes bytes. Takes over the rows of a file with the same key, each
  // of whose checksums are tried; from the first that is wrong on the file is cut off. A file that
  // cannot be used is said once, then done without; a link is such a file.
  FeatureCache(int64_t rows, int64_t row_bytes, FeatureCacheOptions options);
  ~FeatureCache();

  int64_t computed() const {
    return std::max(ram_rows_, file_rows_);
  }  // rows [0, computed()) are here
  int64_t in_memory() const { return ram_rows_; }
  // The most memory that its rows may take.
  int64_t most_bytes() const { return ram_limit_ * row_bytes_; }
  // Whether rows [0, end) are here or still have a place, as far as is known.
  bool can_hold(int64_t end) const;
  // Adds rows behind computed(); false when some of them found no place.
  bool append(const std::byte* rows, int64_t count);
  // False when the file no longer gives the row as it was written, which is said the first time.
  bool read(int64_t row, std::byte* out);
  void remove_file();

 private:
  int64_t record_bytes() const { return row_bytes_ + 4; }
  std::string header() const;
  void open_file();
  void adopt(File& file);
  bool is_whole(int64_t row) const;
  void keep_in_memory(const std::byte* row);
  void give_up_file(const std::string& reason);

  int64_t rows_, row_bytes_;
  FeatureCacheOptions options_;
  int64_t ram_limit_ = 0, file_limit_ = 0;  // rows
  int64_t ram_rows_ = 0, file_rows_ = 0;
  int64_t chunk_rows_ = 0;
  bool told_damage_ = false;
  bool is_ours_ = false;                   // there is a file, and it may be removed
  std::vector<Tensor> chunks_;             // u8, chunk_rows_ rows each
  std::unique_ptr<File> writer_, reader_;  // writer_ null: the file grows no more
  std::vector<std::byte> records_;
};

}  // namespace graft::train
